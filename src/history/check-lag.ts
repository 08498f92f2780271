// CHK-16: how long readers are behind, at least. A record exists from the moment when an event first showed it or a later
// one; a poll that began after that and still did not bring its reader so far was that late.
import type { Tell } from './finding.ts'
import type { HistoryKey } from './history.ts'
import { eventOf, type HistoryIndex, type IndexedOperation, type KeyIndex } from './history-index.ts'

/** When offsets came into being, at the latest: both lists grow. */
interface Births {
  readonly offsets: number[]
  readonly timesMs: number[]
}

/** Where a reader is in a key that it was given. */
interface Reading {
  readonly of: KeyIndex
  /** The last offset read; -1: it began at the beginning. */
  readonly position: number
  /** Nobody is late with a key that it did not have. */
  readonly sinceMs: number
}

interface Reader {
  readings: Map<KeyIndex, Reading>
  /** When each key was given to it. */
  assignedMs: ReadonlyMap<HistoryKey, number>
  lastPoll: IndexedOperation | null
}

/**
 * @param maxMs how late a poll of the final phase may be, counted from its start where a record is older; null: any time.
 * @returns the worst lag of all.
 */
export function checkLag(history: HistoryIndex, maxMs: number | null, tell: Tell): number {
  const births = birthsOf(history)
  const readers = new Map<number, Reader>()
  let worstMs = 0
  // A reader that stands still is latest at the last poll that left it there: only that one has to be looked at.
  const settle = ({ of, position, sinceMs }: Reading, poll: IndexedOperation | null): void => {
    if (poll === null) return
    const bornMs = Math.max(sinceMs, bornAt(births.get(of), position + 1))
    worstMs = Math.max(worstMs, poll.invoked.timeMs - bornMs)
    const { finalPhase } = history
    if (maxMs === null || finalPhase === null || poll.invoked.index < finalPhase.index) return
    const lagMs = poll.invoked.timeMs - Math.max(bornMs, finalPhase.timeMs)
    if (lagMs > maxMs) tellLate(tell, { of, poll, position, lagMs, maxMs })
  }
  for (const operation of history.completed) {
    const { f } = operation.operation
    if (operation.type === 'fail') continue
    let reader = readers.get(operation.process)
    if (reader === undefined) {
      reader = { readings: new Map(), assignedMs: new Map(), lastPoll: null }
      readers.set(operation.process, reader)
    }
    if (f === 'assign' || f === 'subscribe' || f === 'crash') {
      for (const reading of reader.readings.values()) settle(reading, reader.lastPoll)
      assign(reader, operation, history)
    } else if ((f === 'poll' || f === 'txn') && operation.type === 'ok') {
      read(reader, operation, settle)
    }
  }
  for (const { readings, lastPoll } of readers.values()) {
    for (const reading of readings.values()) settle(reading, lastPoll)
  }
  return worstMs
}

function birthsOf({ completed }: HistoryIndex): ReadonlyMap<KeyIndex, Births> {
  const births = new Map<KeyIndex, Births>()
  const see = (of: KeyIndex, offset: number, timeMs: number): void => {
    const { offsets, timesMs } = births.get(of) ?? { offsets: [], timesMs: [] }
    if (offset <= (offsets.at(-1) ?? -1)) return
    if (offsets.length === 0) births.set(of, { offsets, timesMs })
    offsets.push(offset)
    timesMs.push(timeMs)
  }
  for (const { completed: end, reads, writes, isCommitted } of completed) {
    for (const { of, records } of reads) for (const [offset] of records) see(of, offset, end!.timeMs)
    if (!isCommitted) continue
    for (const { of, offset } of writes) if (offset !== null) see(of, offset, end!.timeMs)
  }
  return births
}

/** When this offset or a later one was there for the first time; infinity: never, as far as the history shows. */
function bornAt(births: Births | undefined, offset: number): number {
  if (births === undefined) return Number.POSITIVE_INFINITY
  let [low, high] = [0, births.offsets.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (births.offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return births.timesMs[low] ?? Number.POSITIVE_INFINITY
}

/**
 * Only a key that is read from its beginning has a position before the first read. A group may take keys away unseen, so
 * nothing is said of readers that subscribed.
 */
function assign(reader: Reader, { operation, completed }: IndexedOperation, { keys }: HistoryIndex): void {
  const given = operation.f === 'assign' ? operation.keys : []
  const startsAnew = operation.f === 'assign' && operation.seekToBeginning === true
  const { timeMs } = completed!
  const before = startsAnew ? new Map<HistoryKey, number>() : reader.assignedMs
  reader.assignedMs = new Map(given.map((key) => [key, before.get(key) ?? timeMs]))
  const readings = new Map<KeyIndex, Reading>()
  for (const key of given) {
    const of = keys.get(key)
    if (of === undefined) continue
    const reading = startsAnew ? { of, position: -1, sinceMs: timeMs } : reader.readings.get(of)
    if (reading !== undefined) readings.set(of, reading)
  }
  reader.readings = readings
}

function read(
  reader: Reader,
  poll: IndexedOperation,
  settle: (reading: Reading, poll: IndexedOperation | null) => void,
): void {
  for (const { of, records } of poll.reads) {
    const sinceMs = reader.assignedMs.get(of.key)
    if (sinceMs === undefined) continue
    const before = reader.readings.get(of)
    if (before !== undefined) settle(before, reader.lastPoll)
    reader.readings.set(of, { of, position: records[records.length - 1]![0], sinceMs })
  }
  reader.lastPoll = poll
}

function tellLate(
  tell: Tell,
  late: {
    readonly of: KeyIndex
    readonly poll: IndexedOperation
    readonly position: number
    readonly lagMs: number
    readonly maxMs: number
  },
): void {
  const { of, poll, position, lagMs, maxMs } = late
  const event = eventOf(poll)
  const where = position === -1 ? 'nothing' : `up to offset ${position}`
  tell({
    name: 'realtime-lag',
    key: of.key,
    process: poll.process,
    events: [event],
    evidence: { lagMs, maxMs, position },
    message: `${of.key}: with its poll (event ${event}), process ${poll.process} had read ${where}, though more had been there for ${Math.round(lagMs)} ms; at most ${maxMs} ms are allowed.`,
  })
}
