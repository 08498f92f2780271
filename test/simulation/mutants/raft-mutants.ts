// What the metadata quorum can do wrong.
import type { Mutant } from './mutant.ts'

const DISAGREEMENT = /INV-(10|22)\b|contradicts/

export const RAFT_MUTANTS: readonly Mutant[] = [
  {
    id: 'M19',
    name: 'a vote is not stored',
    item: 'RAFT-01',
    edit: {
      file: 'src/controller/raft-log-store.ts',
      text: 'await this.#options.hardState.write(hardState)',
      replacement: 'await this.#options.hardState.write({ ...hardState, votedFor: null })',
    },
    killer: {
      kind: 'tests',
      files: ['test/controller/raft-log-store.test.ts'],
      expected: /what was persisted is found again/,
      reason:
        'a voter would have to restart between two candidates of the same term; a term without any vote is noticed at once (M19b)',
    },
  },
  {
    id: 'M19b',
    name: 'neither term nor vote are stored',
    item: 'RAFT-01, RAFT-02',
    edit: {
      file: 'src/controller/raft-log-store.ts',
      text: 'if (hardState !== null) await this.#options.hardState.write(hardState)',
      replacement:
        'if (hardState === null && entries.length < 0) await this.#options.hardState.write(hardState!)',
    },
    killer: { kind: 'simulation', expected: /JEP-4: .*was the vote lost/ },
  },
  {
    id: 'M20',
    name: 'entries of an earlier term are committed by counting',
    item: 'RAFT-03',
    edit: {
      file: 'src/raft/step-leader.ts',
      text: 'if (index <= log.commitIndex || log.termAt(index) !== raft.term) return',
      replacement: 'if (index <= log.commitIndex) return',
    },
    killer: {
      kind: 'tests',
      files: ['test/raft/step-leader.test.ts'],
      expected: /RAFT-03/,
      reason:
        'it takes leaders that fail one after the other in the middle of their first entries; the fixed runs of the simulation of the quorum alone found it until snapshots changed their draws',
    },
  },
  {
    id: 'M21',
    name: 'a follower cuts its log at each append, also without a conflict',
    item: 'RAFT-05',
    edit: {
      file: 'src/raft/raft-log.ts',
      text: 'const firstNew = entries.findIndex((entry) => !this.holds(entry))',
      replacement: 'const firstNew = entries.length === 0 ? -1 : 0',
    },
    killer: { kind: 'simulation', expected: DISAGREEMENT },
  },
  {
    id: 'M22',
    name: 'a follower commits up to the end of its own log',
    item: 'RAFT-07',
    edit: {
      file: 'src/raft/step-follower.ts',
      text: 'log.commitTo(Math.min(message.commitIndex, lastIndex))',
      replacement: 'log.commitTo(Math.min(message.commitIndex, log.last.index))',
    },
    killer: {
      kind: 'tests',
      files: ['test/raft/step-follower.test.ts'],
      expected: /RAFT-07/,
      reason:
        'an append holds up to 4,096 entries, so one that ends before a stale tail while more is committed needs a metadata log longer than a simulated one',
    },
  },
  {
    id: 'M23',
    name: 'a change of voters before an entry of the term is committed',
    item: 'RAFT-20',
    edit: {
      file: 'src/raft/propose.ts',
      text: "if (log.commitIndex < leadership.startIndex) return 'term-not-committed'",
      replacement: "if (log.commitIndex < 0) return 'term-not-committed'",
    },
    killer: {
      kind: 'tests',
      files: ['test/raft/scenarios.test.ts'],
      expected: /voters-change-of-two-leaders/,
      reason:
        'two leaders in a row must change the voters before they commit anything; the simulation of the core alone meets that in one of some hundred runs',
    },
  },
  {
    id: 'M24',
    name: 'a write that ends in a later term still counts',
    item: 'RAFT-10',
    edit: {
      file: 'src/raft/raft-node.ts',
      text: '    if (token.term < raft.term) return\n',
      replacement: '',
    },
    killer: {
      kind: 'tests',
      files: ['test/raft/raft-node.test.ts', 'test/raft/step-leader.test.ts'],
      expected: /RAFT-10/,
      reason:
        'a stale completion counts for something only while the same entry is overwritten, put back and written again, within one write to the disk',
    },
  },
  {
    id: 'M25',
    name: 'the applied index is not stored with the state',
    item: 'RAFT-29',
    edit: {
      file: 'src/controller/snapshot-maker.ts',
      text: 'this.#making = this.#make(state).finally(',
      replacement:
        'this.#making = this.#make({ ...state, image: { ...state.image, metadataOffset: state.image.metadataOffset - 1 } }).finally(',
    },
    killer: { kind: 'simulation', expected: /INV-(10|22)\b|contradicts|the metadata log cannot be applied/ },
  },
  {
    id: 'M26',
    name: 'a read without a round of the quorum',
    item: 'RAFT-31',
    edit: {
      file: 'src/raft/step-leader.ts',
      text: 'majorityValue(toldByVoters(raft, { own: reads.round, unheard: 0, by: ({ round }) => round }))',
      replacement: 'reads.round',
    },
    killer: {
      kind: 'tests',
      files: ['test/raft/scenarios.test.ts'],
      expected: /read-index/,
      reason:
        'only the description of the quorum is read in this way, and no client of the simulation asks for it',
    },
  },
]
