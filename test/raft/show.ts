// How traces and scenarios write messages and entries. An entry is index/term and its data: 3/2 "x", 4/2 empty.
import { unreachable } from '../../src/base/assert.ts'
import type { Message, VoterKey } from '../../src/raft/messages.ts'
import type { Entry, HardState, Snapshot } from '../../src/raft/types.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function toData(text: string): Uint8Array {
  return encoder.encode(text)
}

export function showData(data: Uint8Array | null): string {
  return data === null ? 'empty' : JSON.stringify(decoder.decode(data))
}

export function showEntry(entry: Entry): string {
  const voters = entry.voters === undefined ? '' : ` voters=${showVoters(entry.voters)}`
  return `${entry.index}/${entry.term} ${showData(entry.data)}${voters}`
}

/** By their disks: 2 is the first one of node 2, 2b the second. */
export function showVoters(voters: readonly VoterKey[]): string {
  return voters.map(({ directoryId }) => directoryId).join(',')
}

export function showEntries(entries: readonly Entry[]): string {
  return `[${entries.map(showEntry).join(', ')}]`
}

export function showHardState(hardState: HardState): string {
  return `term=${hardState.term} vote=${hardState.votedFor ?? 'none'}`
}

/** The state of the machine under test: all that was applied, so that two different histories never give the same one. */
export function stateOf(applied: readonly Entry[]): Uint8Array {
  return encoder.encode(applied.map(showEntry).join('\n'))
}

export function showSnapshot({ index, term }: Snapshot): string {
  return `snapshot ${index}/${term}`
}

export function showMessage(message: Message): string {
  return `${message.from}->${message.to} ${message.type} term=${message.term}${showBody(message)}`
}

function showRound(round: number): string {
  return round === 0 ? '' : ` round=${round}`
}

function showBody(message: Message): string {
  switch (message.type) {
    case 'pre-vote':
      return ` campaign=${message.campaignTerm} last=${message.lastIndex}/${message.lastTerm}`
    case 'pre-vote-response':
      return ` campaign=${message.campaignTerm} ${message.granted ? 'granted' : 'refused'}`
    case 'vote':
      return ` last=${message.lastIndex}/${message.lastTerm}${message.forced ? ' forced' : ''}`
    case 'vote-response':
      return message.granted ? ' granted' : ' refused'
    case 'append':
      return ` prev=${message.prevIndex}/${message.prevTerm} commit=${message.commitIndex} ${showEntries(message.entries)}`
    case 'append-response':
      return message.conflict === null
        ? ` index=${message.index}`
        : ` refused=${message.index} conflict=${message.conflict.index}/${message.conflict.term}`
    case 'heartbeat':
      return ` commit=${message.commitIndex}${showRound(message.round)}`
    case 'heartbeat-response':
      return showRound(message.round)
    case 'join':
    case 'timeout-now':
      return ''
    case 'snapshot':
      return ` up-to=${message.snapshotIndex}/${message.snapshotTerm} bytes=${message.position}..${message.position + message.part.length} of ${message.sizeBytes}`
    case 'snapshot-response':
      return ` up-to=${message.snapshotIndex} has=${message.position}`
    default:
      return unreachable(message)
  }
}
