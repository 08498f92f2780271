// Checks that a reader gets the records of a key one after the other: none left out, none twice, none backwards.
import { EVIDENCE_MAX, type Gap, listed, type Pair, show, type Tell } from './finding.ts'
import type { HistoryKey, SeenRecord } from './history.ts'
import { eventOf, type HistoryIndex, type IndexedOperation, type KeyIndex } from './history-index.ts'
import type { Superseded } from './superseded.ts'

/** CHK-6 and CHK-7: inside one operation. */
export function checkInsidePolls({ operations }: HistoryIndex, superseded: Superseded, tell: Tell): void {
  for (const operation of operations) {
    if (operation.reads.length === 0) continue
    const rebalanced = rebalancedOf(operation)
    for (const { of, records } of operation.reads) {
      if (rebalanced.includes(of.key)) continue
      for (let i = 1; i < records.length; i++) {
        const delta = deltaOf(of, records[i - 1]!, records[i]!)
        if (delta === 1 || isCompacted(superseded, of, [records[i - 1]!, records[i]!])) continue
        const pair = { from: records[i - 1]!, to: records[i]!, delta }
        const where = `${of.key}: one poll of process ${operation.process} (event ${eventOf(operation)})`
        const place = { key: of.key, process: operation.process, events: [eventOf(operation)] }
        if (delta < 1) {
          const message = `${where} returned ${text(pair.to)} after ${text(pair.from)}.`
          tell({ name: 'int-nonmonotonic-poll', ...place, evidence: pair, message })
        } else {
          const gap = gapOf(of, pair)
          const message = `${where} returned ${text(pair.to)} after ${text(pair.from)} and left out ${listOf(gap)}.`
          tell({ name: 'int-poll-skip', ...place, evidence: gap, message })
        }
      }
    }
  }
}

interface Left {
  readonly record: SeenRecord
  readonly event: number
}

/** Where the consumer of one process is, as its `ok` operations show it. */
interface Reader {
  lastReads: Map<KeyIndex, Left>
  isSubscribed: boolean
}

/** CHK-8 and CHK-9: from one operation of a process to the next. */
export function checkBetweenPolls({ operations }: HistoryIndex, superseded: Superseded, tell: Tell): void {
  const readers = new Map<number, Reader>()
  for (const operation of operations) {
    let reader = readers.get(operation.process)
    if (reader === undefined) {
      reader = { lastReads: new Map(), isSubscribed: false }
      readers.set(operation.process, reader)
    }
    move(reader, operation)
    for (const { of, records } of operation.reads) {
      const left = reader.lastReads.get(of)
      const next = records[0]!
      if (left !== undefined && !isCompacted(superseded, of, [left.record, next]))
        checkStep(reader, { of, left, operation, next }, tell)
      // After an operation that did not succeed, the consumer has to go back to where it was.
      if (operation.type !== 'ok') continue
      reader.lastReads.set(of, { record: records[records.length - 1]!, event: eventOf(operation) })
    }
  }
}

/** What a change of the assignment means for where the reader goes on. */
function move(reader: Reader, { operation, type }: IndexedOperation): void {
  if (operation.f === 'crash') reader.lastReads = new Map()
  if (!('keys' in operation) || type === 'fail') return
  reader.isSubscribed = operation.f === 'subscribe'
  const covered = new Set<HistoryKey>(operation.seekToBeginning === true ? [] : operation.keys)
  reader.lastReads = new Map([...reader.lastReads].filter(([{ key }]) => covered.has(key)))
}

function checkStep(
  { isSubscribed }: Reader,
  step: {
    readonly of: KeyIndex
    readonly left: Left
    readonly operation: IndexedOperation
    readonly next: SeenRecord
  },
  tell: Tell,
): void {
  const { of, left, operation, next } = step
  const delta = deltaOf(of, left.record, next)
  if (delta === 1) return
  const excuse = isSubscribed ? 'rebalance' : undefined
  const event = eventOf(operation)
  const pair = { from: left.record, to: next, delta }
  const place = { key: of.key, process: operation.process, events: [left.event, event] }
  const where = `${of.key}: process ${operation.process} had read up to ${text(left.record)} (event ${left.event})`
  if (delta < 1) {
    const message = `${where} and then got ${text(next)} (event ${event}), which is not behind it.`
    tell({ name: 'nonmonotonic-poll', ...place, evidence: pair, message }, excuse)
  } else {
    const gap = gapOf(of, pair)
    const message = `${where} and then got ${text(next)} (event ${event}), without ${listOf(gap)}.`
    tell({ name: 'poll-skip', ...place, evidence: gap, message }, excuse)
  }
}

const NO_KEYS: readonly HistoryKey[] = []

function rebalancedOf({ operation }: IndexedOperation): readonly HistoryKey[] {
  return 'rebalanced' in operation ? (operation.rebalanced ?? NO_KEYS) : NO_KEYS
}

/** Whether one stands behind the other, and all between them may have been compacted away. */
function isCompacted(
  superseded: Superseded,
  of: KeyIndex,
  [from, to]: readonly [SeenRecord, SeenRecord],
): boolean {
  const [fromPlace, toPlace] = [of.order.placeOf(from[0])!, of.order.placeOf(to[0])!]
  return toPlace > fromPlace && superseded.hasAllBetween(of, fromPlace, toPlace)
}

/** Whatever was read has a place. */
function deltaOf({ order }: KeyIndex, from: SeenRecord, to: SeenRecord): number {
  return order.placeOf(to[0])! - order.placeOf(from[0])!
}

export function gapOf({ order }: KeyIndex, pair: Pair): Gap {
  const start = order.placeOf(pair.from[0])! + 1
  const skippedCount = pair.delta - 1
  const skipped = Array.from({ length: Math.min(skippedCount, EVIDENCE_MAX) }, (_, i): SeenRecord => {
    return [order.offsetAt(start + i), order.valueAt(start + i)]
  })
  return { ...pair, skipped, skippedCount }
}

export function listOf({ skipped, skippedCount }: Gap): string {
  return listed(skipped.map(text), skippedCount)
}

export function text([offset, value]: SeenRecord): string {
  return `${show(value)} at offset ${offset}`
}
