// Checks for records that are gone.
import { EVIDENCE_MAX, listed, show, type Tell } from './finding.ts'
import type { HistoryValue } from './history.ts'
import { eventOf, type HistoryIndex, type KeyIndex } from './history-index.ts'
import type { LogStarts, Superseded } from './superseded.ts'

/** What is known to be lost, so that it is not called unread as well. */
export type LostValues = ReadonlyMap<KeyIndex, ReadonlySet<HistoryValue>>

/** What may be missing. */
export interface Removals {
  readonly logStarts: LogStarts
  readonly superseded: Superseded
}

/** Whether a value was seen below the log start only, or may have been compacted away. */
function mayBeDeleted(of: KeyIndex, value: HistoryValue, { logStarts, superseded }: Removals): boolean {
  const place = of.order.lastPlaceOf(value)
  const isBelow = place !== undefined && of.order.offsetAt(place) < (logStarts.get(of.key) ?? 0)
  return isBelow || superseded.has(of, value)
}

/**
 * CHK-4: a record that surely took place, below one that was read, was never read itself. It counts as below only if
 * every place at which it was seen is, so that duplicates and offsets with several values raise no false alarm.
 */
export function checkLostWrites({ keys }: HistoryIndex, removals: Removals, tell: Tell): LostValues {
  const lost = new Map<KeyIndex, Set<HistoryValue>>()
  for (const of of keys.values()) {
    const { key, order, okReads, writers } = of
    let bound = -1
    let boundValue: HistoryValue = ''
    for (const value of okReads) {
      const place = order.firstPlaceOf(value)!
      if (place <= bound) continue
      bound = place
      boundValue = value
    }
    for (const value of order.values()) {
      const writer = writers.get(value)
      if (order.lastPlaceOf(value)! > bound || okReads.has(value) || writer?.isCommitted !== true) continue
      if (mayBeDeleted(of, value, removals)) continue
      const values = lost.get(of) ?? new Set()
      lost.set(of, values.add(value))
      const [offset, sendEvent] = [order.offsetAt(order.firstPlaceOf(value)!), eventOf(writer)]
      const readUpTo = [order.offsetAt(bound), boundValue] as const
      const how = writer.type === 'ok' ? 'was acknowledged' : 'has taken place, as other reads show,'
      tell({
        name: 'lost-write',
        key,
        process: writer.process,
        events: [sendEvent],
        evidence: { value, offset, sendEvent, readUpTo },
        message: `${key}: ${show(value)} ${how} at offset ${offset} (event ${sendEvent}); readers got as far as offset ${readUpTo[0]}, but nobody ever read it.`,
      })
    }
  }
  return lost
}

/**
 * CHK-13: what was acknowledged has to be read in the final phase at the latest. Where a key was read from the beginning
 * then, everything that had been read before has to be there as well: a record may not go away after it was seen.
 * @returns how many acknowledged values nobody has read, final phase or not.
 */
export function checkUnseen(
  history: HistoryIndex,
  removals: Removals & { readonly lost: LostValues },
  tell: Tell,
): number {
  const reread = rereadValues(history)
  let unseenCount = 0
  for (const of of history.keys.values()) {
    const again = reread.get(of)
    const unseen: { readonly value: HistoryValue; readonly event: number }[] = []
    for (const [value, writer] of of.writers) {
      if (!writer.isCommitted) continue
      if (of.okReads.has(value)) {
        if (again === undefined || again.has(value)) continue
      } else {
        if (writer.type !== 'ok') continue
        unseenCount++
        if (removals.lost.get(of)?.has(value) === true) continue
      }
      if (mayBeDeleted(of, value, removals)) continue
      unseen.push({ value, event: eventOf(writer) })
    }
    if (history.finalPhase === null || unseen.length === 0) continue
    const list = unseen.slice(0, EVIDENCE_MAX)
    const values = list.map(({ value, event }) => `${show(value)} (event ${event})`)
    tell({
      name: 'unseen',
      key: of.key,
      process: null,
      events: list.map(({ event }) => event).toSorted((a, b) => a - b),
      evidence: { values: list, count: unseen.length },
      message: `${of.key}: the final phase ended without a read of ${listed(values, unseen.length)}: lost, or not readable any more.`,
    })
  }
  return unseenCount
}

/** What was read in the final phase of the keys that were read from the beginning then. */
function rereadValues({
  operations,
  finalPhase,
}: HistoryIndex): ReadonlyMap<KeyIndex, ReadonlySet<HistoryValue>> {
  const keys = new Set<string>()
  const reread = new Map<KeyIndex, Set<HistoryValue>>()
  if (finalPhase === null) return reread
  for (const { invoked, operation, type, reads } of operations) {
    if (invoked.index < finalPhase.index || type !== 'ok') continue
    if ('keys' in operation && operation.seekToBeginning === true)
      for (const key of operation.keys) keys.add(key)
    for (const { of, records } of reads) {
      if (!keys.has(of.key)) continue
      const values = reread.get(of) ?? new Set()
      reread.set(of, values)
      for (const [, value] of records) values.add(value)
    }
  }
  return reread
}
