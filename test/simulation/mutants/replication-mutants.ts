// What a broker can do wrong while it replicates, and a controller while it decides about replicas.
import type { Mutant } from './mutant.ts'

const DATA_LOSS = /INV-(1|4|5|7|13)\b|CHK-/

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    id: 'M1',
    name: 'acks=all is answered when the leader has written',
    item: 'CHK-4',
    edit: {
      file: 'src/broker/produce-flow.ts',
      text: 'if (acks === -1) await this.#whenCommitted(role, appended, deadline)',
      replacement: 'if (acks === 0) await this.#whenCommitted(role, appended, deadline)',
    },
    killer: { kind: 'simulation', expected: /CHK-(4|19)\b/ },
  },
  {
    id: 'M2',
    name: 'the high watermark does not wait for members that are proposed',
    item: 'REP-18',
    edit: {
      file: 'src/replication/in-sync-set.ts',
      text: 'if (this.#state.maximalIsr.includes(follower.replicaId)) return true',
      replacement: 'if (this.#state.isr.includes(follower.replicaId)) return true',
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/simulation.test.ts', 'test/replication/in-sync-scenarios.test.ts'],
      expected: /^INV-1|REP-18/,
      reason:
        'whole clusters find it (INV-5), but at about one seed in a hundred: a leader also waits for replicas that are about to join',
    },
  },
  {
    id: 'M3',
    name: 'a proposed member counts toward min.insync.replicas at once',
    item: 'REP-18',
    edit: {
      file: 'src/replication/isr.ts',
      text: "return { ...state, kind: 'pending-expand', maximalIsr: wanted, proposal }",
      replacement: "return { ...state, kind: 'pending-expand', isr: wanted, maximalIsr: wanted, proposal }",
    },
    killer: { kind: 'simulation', expected: /INV-6\b/ },
  },
  {
    id: 'M4',
    name: 'a removal from the ISR counts before the controller has committed it',
    item: 'REP-19',
    edit: {
      file: 'src/replication/isr.ts',
      text: "return { ...state, kind: 'pending-shrink', maximalIsr: state.isr, proposal }",
      replacement: "return { ...state, kind: 'pending-shrink', maximalIsr: wanted, proposal }",
    },
    killer: { kind: 'simulation', expected: /INV-(5|6|13)\b|REP-20\b/ },
  },
  {
    id: 'M5',
    name: 'a replica truncates to its high watermark when it starts',
    item: 'REP-01',
    edit: {
      file: 'src/broker/partition-registry.ts',
      text: 'const stored = Math.min(directory.highWatermark(target) ?? 0, log.logEndOffset)',
      replacement: `const stored = Math.min(directory.highWatermark(target) ?? 0, log.logEndOffset)
      await log.truncateTo(Math.max(stored, log.logStartOffset))`,
    },
    killer: { kind: 'simulation', expected: DATA_LOSS },
  },
  {
    id: 'M6',
    name: 'a follower truncates to the offset alone, without the epoch that goes with it',
    item: 'REP-05',
    edit: {
      file: 'src/replication/partition-follower.ts',
      text: 'const offset = Math.min(response.endOffset, ownEnd?.endOffset ?? this.#logEndOffset)',
      replacement: 'const offset = Math.min(response.endOffset, this.#logEndOffset)',
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/divergence.test.ts'],
      expected: /REP-05/,
      reason:
        'two leaders have to die before a third replica has truncated once; the simulation of one partition in test/replication gets there as well',
    },
  },
  {
    id: 'M7',
    name: 'a leader does not note its epoch before it serves',
    item: 'REP-08',
    edit: {
      file: 'src/broker/partition.ts',
      text: 'await this.log.beginEpoch(image.leaderEpoch)',
      replacement: 'await Promise.resolve()',
    },
    killer: { kind: 'simulation', expected: /JEP-4: .*must be in the log's epochs/ },
  },
  {
    id: 'M8',
    name: 'a follower joins the ISR at the high watermark, below the start of the leader epoch',
    item: 'REP-15, REP-16',
    edit: {
      file: 'src/replication/in-sync-set.ts',
      text: 'Math.max(leader.highWatermark, leader.leaderEpochStartOffset)',
      replacement: 'leader.highWatermark',
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/in-sync-scenarios.test.ts'],
      expected: /REP-15|REP-16/,
      reason:
        'whole clusters find it (INV-5) rarely: with earlier draws the 93rd seed was the first, of the present ones 6 likely seeds were tried',
    },
  },
  {
    id: 'M8b',
    name: 'a follower joins the ISR at the start of the leader epoch, below the high watermark',
    item: 'REP-16',
    edit: {
      file: 'src/replication/in-sync-set.ts',
      text: 'Math.max(leader.highWatermark, leader.leaderEpochStartOffset)',
      replacement: 'leader.leaderEpochStartOffset',
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/in-sync-scenarios.test.ts'],
      expected: /REP-16|REP-15|high watermark/,
      reason:
        'whole clusters find it (INV-5): seed 4 did before topics had observers, of the draws since then 6 likely seeds were tried',
    },
  },
  {
    id: 'M9',
    name: 'a new leadership goes on with what an older one knew of the followers',
    item: 'REP-17',
    edit: {
      file: 'src/replication/partition-leader.ts',
      text: '.map((id) => new FollowerProgress(id, isr.includes(id) ? nowMs : Number.NEGATIVE_INFINITY))',
      replacement: `.map((id) => {
        const log = options.epochs as EpochView & { known?: Map<NodeId, FollowerProgress> }
        log.known ??= new Map()
        const known = log.known.get(id) ?? new FollowerProgress(id, isr.includes(id) ? nowMs : -Infinity)
        log.known.set(id, known)
        return known
      })`,
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/in-sync-scenarios.test.ts'],
      expected: /REP-17/,
      reason:
        'a leader would have to lose and regain its place without a restart, while a follower truncates in between; the simulator does not move replicas',
    },
  },
  {
    id: 'M10',
    name: 'a leader goes on with what it knew of an earlier run of a follower',
    item: 'REP-24, REP-25',
    edit: {
      file: 'src/replication/follower-progress.ts',
      text: `    this.#brokerEpoch = brokerEpoch
    this.#fetchOffset = UNKNOWN
    this.#flushedOffset = UNKNOWN
`,
      replacement: '    this.#brokerEpoch = brokerEpoch\n',
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/in-sync-scenarios.test.ts'],
      expected: /REP-2[45]/,
      reason:
        'a simulated broker with an empty disk fetches before it is unfenced, and what it asks for corrects its leader',
    },
  },
  {
    id: 'M10b',
    name: 'the controller takes a member into the ISR that was seen in an earlier run',
    item: 'REP-24',
    edit: {
      file: 'src/metadata/decide-alter-partition.ts',
      text: 'if (member.brokerEpoch !== seenEpoch) {',
      replacement: 'if (member.brokerEpoch < seenEpoch) {',
    },
    killer: {
      kind: 'tests',
      files: ['test/metadata/decide-alter-partition.test.ts'],
      expected: /REP-24/,
      reason:
        'a proposal would have to be under way while a disk is replaced, and until its broker has registered again',
    },
  },
  {
    id: 'M11',
    name: 'the controller takes a fenced broker into the ISR',
    item: 'REP-23',
    edit: {
      file: 'src/metadata/decide-alter-partition.ts',
      text: "if (member.fenced) return 'is fenced'",
      replacement: '',
    },
    killer: {
      kind: 'tests',
      files: ['test/metadata/decide-alter-partition.test.ts'],
      expected: /REP-23/,
      reason:
        'whole clusters find it rarely: with earlier draws the 27th seed was the first, of the present ones 6 likely seeds were tried',
    },
  },
  {
    id: 'M12',
    name: 'a broker with an empty disk stays eligible',
    item: 'REP-29',
    edit: {
      file: 'src/metadata/decide-register-broker.ts',
      text: "if (trust !== 'all') records.push(...leavePartitions(context, { brokerId, trust, detail }))",
      replacement:
        'if (registered === undefined) records.push(...leavePartitions(context, { brokerId, trust, detail }))',
    },
    killer: {
      kind: 'tests',
      files: ['test/metadata/decide-register-broker.test.ts'],
      expected: /REP-(24|29)/,
      reason:
        'a broker with an empty disk is elected only where it returns before all others that are eligible; at most one in a hundred seeds has that',
    },
  },
  {
    id: 'M12b',
    name: 'only the last member of an ISR is eligible',
    item: 'REP-28',
    edit: {
      file: 'src/metadata/eligible-replicas.ts',
      text: 'const elr = partition.replicas.filter(',
      replacement:
        'const elr = (isr.length > 0 ? [] : partition.isr.length > 0 ? partition.isr.slice(-1) : partition.elr).filter(',
    },
    killer: {
      kind: 'tests',
      files: ['test/metadata/partition-change.test.ts'],
      expected: /the ISR falls below min.insync.replicas: who leaves is eligible/,
      reason:
        'it costs records only where the last member loses its disk; where it merely stays away, a simulated node is started again',
    },
  },
  {
    id: 'M13',
    name: 'min.insync.replicas is looked at only when a produce comes in',
    item: 'REP-20',
    edit: {
      file: 'src/replication/partition-leader.ts',
      text: 'const highWatermarkAdvanced = !this.isBelowMinIsr && this.#highWatermark.raiseTo(this.#countedByAll())',
      replacement: 'const highWatermarkAdvanced = this.#highWatermark.raiseTo(this.#countedByAll())',
    },
    killer: { kind: 'simulation', expected: /REP-20\b/ },
  },
  {
    id: 'M14',
    name: 'a follower takes every answer to a fetch, also one from before a truncation',
    item: 'REP-41',
    edit: {
      file: 'src/replication/partition-follower.ts',
      text: `      this.#activity === 'ready' &&
      request.currentLeaderEpoch === this.leaderEpoch &&
      request.fetchOffset === this.#logEndOffset &&
      request.lastFetchedEpoch === this.#epochs.latestEpoch
`,
      replacement: "      this.#activity === 'ready' || request.currentLeaderEpoch === this.leaderEpoch\n",
    },
    killer: {
      kind: 'tests',
      files: ['test/replication/divergence.test.ts'],
      expected: /REP-41/,
      reason:
        'a broker has one fetch of a partition under way, drops its answer when the role has ended, and its log refuses what does not continue it',
    },
  },
]
