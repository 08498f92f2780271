// Checks that look at single values: what stands at an offset, and where a value that was read came from.
import { EVIDENCE_MAX, listed, show, type Tell } from './finding.ts'
import type { SeenRecord } from './history.ts'
import { eventOf, type HistoryIndex, type IndexedOperation, type KeyIndex } from './history-index.ts'

/** CHK-2: an offset with several values. */
export function checkOffsets({ keys }: HistoryIndex, tell: Tell): void {
  for (const { key, order } of keys.values()) {
    for (const place of order.conflicts()) {
      const offset = order.offsetAt(place)
      const all = order.valuesAt(place)
      const values = all.slice(0, EVIDENCE_MAX)
      const list = values.map(({ value, event }) => `${show(value)} (event ${event})`)
      tell({
        name: 'inconsistent-offsets',
        key,
        process: null,
        events: values.map(({ event }) => event).toSorted((a, b) => a - b),
        evidence: { offset, values, count: all.length },
        message: `${key}: offset ${offset} holds different values: ${listed(list, all.length)}. An offset is given to one record only.`,
      })
    }
  }
}

/** CHK-5: a value at several offsets of its key. */
export function checkDuplicates({ keys }: HistoryIndex, tell: Tell): void {
  for (const { key, order } of keys.values()) {
    for (const [value, places] of order.duplicates) {
      const shown = places.slice(0, EVIDENCE_MAX)
      const offsets = shown.map((place) => order.offsetAt(place))
      tell({
        name: 'duplicate',
        key,
        process: null,
        events: shown.map((place) => order.eventOf(value, place)).toSorted((a, b) => a - b),
        evidence: { value, offsets, count: places.length },
        message: `${key}: ${show(value)} was sent once and stands at the offsets ${listed(offsets, places.length)}.`,
      })
    }
  }
}

/** CHK-3: a read of what was surely not written. CHK-14: a read of what nobody has sent. One report for each value. */
export function checkSources({ operations }: HistoryIndex, tell: Tell): void {
  const told = new Map<KeyIndex, Set<unknown>>()
  for (const operation of operations) {
    for (const { of, records } of operation.reads) {
      for (const record of records) {
        const writer = of.writers.get(record[1])
        if (writer !== undefined && (writer.type !== 'fail' || operation.type !== 'ok')) continue
        const values = told.get(of) ?? new Set()
        told.set(of, values)
        if (values.has(record[1])) continue
        values.add(record[1])
        if (writer === undefined) tellPhantom(tell, { of, record, operation })
        else tellAborted(tell, { of, record, operation, writer })
      }
    }
  }
}

interface SeenValue {
  readonly of: KeyIndex
  readonly record: SeenRecord
  readonly operation: IndexedOperation
}

function tellPhantom(tell: Tell, { of, record, operation }: SeenValue): void {
  const [offset, value] = record
  const event = eventOf(operation)
  tell({
    name: 'phantom',
    key: of.key,
    process: operation.process,
    events: [event],
    evidence: { offset, value },
    message: `${of.key}: process ${operation.process} read ${show(value)} at offset ${offset} (event ${event}), which nobody has sent to this key.`,
  })
}

function tellAborted(tell: Tell, seen: SeenValue & { readonly writer: IndexedOperation }): void {
  const { of, record, operation, writer } = seen
  const [offset, value] = record
  const [event, sendEvent] = [eventOf(operation), eventOf(writer)]
  tell({
    name: 'G1a',
    key: of.key,
    process: operation.process,
    events: [sendEvent, event].toSorted((a, b) => a - b),
    evidence: { offset, value, sendEvent },
    message: `${of.key}: process ${operation.process} read ${show(value)} at offset ${offset} (event ${event}), though its send had failed for sure (event ${sendEvent}).`,
  })
}

/** CHK-12: an operation reads what it has sent itself, before that is committed. */
export function checkPrecommittedReads({ operations }: HistoryIndex, tell: Tell): void {
  for (const operation of operations) {
    if (operation.writes.length === 0) continue
    for (const { of, records } of operation.reads) {
      for (const [offset, value] of records) {
        if (of.writers.get(value) !== operation) continue
        const event = eventOf(operation)
        tell({
          name: 'precommitted-read',
          key: of.key,
          process: operation.process,
          events: [event],
          evidence: { offset, value },
          message: `${of.key}: the transaction of process ${operation.process} (event ${event}) read its own ${show(value)} at offset ${offset} before it was committed.`,
        })
      }
    }
  }
}
