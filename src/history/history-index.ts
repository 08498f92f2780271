// What all checks need of a history, gathered in two passes over its events: the operations with their outcomes, and
// for each key who wrote and read what.
import { VltavaError } from '../model/errors.ts'
import { show } from './finding.ts'
import type { HistoryEvent, HistoryKey, HistoryOperation, HistoryValue, SeenRecord } from './history.ts'
import { HistoryPairing } from './history-pairing.ts'
import { VersionOrder } from './version-order.ts'

export interface KeyIndex {
  readonly key: HistoryKey
  /** The operation that tried to write a value. */
  readonly writers: Map<HistoryValue, IndexedOperation>
  /** The values that `ok` operations read. */
  readonly okReads: Set<HistoryValue>
  readonly order: VersionOrder
}

/** The records an operation read of one key, in the order in which they came. */
export interface KeyReads {
  readonly of: KeyIndex
  readonly records: readonly SeenRecord[]
}

export interface KeyWrite {
  readonly of: KeyIndex
  readonly value: HistoryValue
  readonly offset: number | null
}

export interface IndexedOperation {
  readonly process: number
  readonly invoked: HistoryEvent
  /** null: it never ended. */
  readonly completed: HistoryEvent | null
  /** As it ended, or as it began. */
  readonly operation: HistoryOperation
  readonly type: 'ok' | 'info' | 'fail'
  readonly reads: readonly KeyReads[]
  readonly writes: readonly KeyWrite[]
  /** It is `ok`, or a value that it wrote was read: all of it took place. */
  isCommitted: boolean
}

export interface HistoryIndex {
  readonly events: readonly HistoryEvent[]
  /** In the order of their invocations; so those of one process are in their order. */
  readonly operations: readonly IndexedOperation[]
  /** Those that ended, in the order of their ends. */
  readonly completed: readonly IndexedOperation[]
  readonly keys: ReadonlyMap<HistoryKey, KeyIndex>
  /** The event that begins the final phase; null when there is none. */
  readonly finalPhase: HistoryEvent | null
}

/** The event that stands for an operation: its end, or its beginning where it has none. */
export function eventOf(operation: IndexedOperation): number {
  return (operation.completed ?? operation.invoked).index
}

/** @throws VltavaError INVALID_ARGUMENT when the events are no history, or a value of a key was sent twice. */
export function indexHistory(events: readonly HistoryEvent[]): HistoryIndex {
  const ends = endsOf(events)
  const builder = new IndexBuilder()
  const operations: IndexedOperation[] = []
  const byInvocation = new Map<number, IndexedOperation>()
  let finalPhase: HistoryEvent | null = null
  for (const event of events) {
    if (event.type !== 'invoke') continue
    const indexed = builder.add(event, ends.get(event.index) ?? null)
    operations.push(indexed)
    byInvocation.set(event.index, indexed)
    if (event.operation.f === 'final-phase') finalPhase ??= event
  }
  builder.seal(operations)
  return {
    events,
    operations,
    completed: [...ends.keys()].map((invocation) => byInvocation.get(invocation)!),
    keys: builder.keys,
    finalPhase,
  }
}

/** The events that end operations, in their order, by the index of the invocation. */
function endsOf(events: readonly HistoryEvent[]): ReadonlyMap<number, HistoryEvent> {
  const pairing = new HistoryPairing()
  const ends = new Map<number, HistoryEvent>()
  for (const event of events) {
    const invoked = pairing.open.get(event.process)
    const problem = pairing.add(event)
    if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `Event ${event.index}: ${problem}.`)
    if (event.type !== 'invoke') ends.set(invoked!.index, event)
  }
  return ends
}

class IndexBuilder {
  readonly keys = new Map<HistoryKey, KeyIndex>()

  add(invoked: HistoryEvent, completed: HistoryEvent | null): IndexedOperation {
    const { operation, type } = completed ?? invoked
    const reads: KeyReads[] = []
    const writes: KeyWrite[] = []
    for (const step of 'steps' in operation ? operation.steps : []) {
      if (step[0] === 'send') writes.push({ of: this.#key(step[1]), value: step[2], offset: step[3] ?? null })
      else
        for (const [key, records] of Object.entries(step[1] ?? {})) addReads(reads, this.#key(key), records)
    }
    const indexed: IndexedOperation = {
      process: invoked.process,
      invoked,
      completed,
      operation,
      type: type === 'invoke' ? 'info' : type,
      reads,
      writes,
      isCommitted: type === 'ok',
    }
    for (const { of, value } of writes) addWriter(of, value, indexed)
    if (type === 'ok') {
      for (const { of, records } of reads) for (const [, value] of records) of.okReads.add(value)
    }
    return indexed
  }

  /** Finds out what took place, and the order of each key from it. */
  seal(operations: readonly IndexedOperation[]): void {
    for (const operation of operations) {
      if (operation.type === 'info') {
        operation.isCommitted = operation.writes.some(({ of, value }) => of.okReads.has(value))
      }
      const event = eventOf(operation)
      for (const { of, records } of operation.reads) {
        for (const [offset, value] of records) of.order.see(offset, { value, event })
      }
      if (!operation.isCommitted) continue
      for (const { of, value, offset } of operation.writes)
        if (offset !== null) of.order.see(offset, { value, event })
    }
    for (const { order } of this.keys.values()) order.seal()
  }

  #key(key: HistoryKey): KeyIndex {
    let index = this.keys.get(key)
    if (index === undefined) {
      index = { key, writers: new Map(), okReads: new Set(), order: new VersionOrder() }
      this.keys.set(key, index)
    }
    return index
  }
}

/** A transaction may poll a key several times; its reads follow each other. */
function addReads(reads: KeyReads[], of: KeyIndex, records: readonly SeenRecord[]): void {
  if (records.length === 0) return
  const at = reads.findIndex((other) => other.of === of)
  if (at === -1) reads.push({ of, records })
  else reads[at] = { of, records: [...reads[at]!.records, ...records] }
}

function addWriter(of: KeyIndex, value: HistoryValue, operation: IndexedOperation): void {
  const other = of.writers.get(value)
  if (other !== undefined) {
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `Event ${operation.invoked.index} sends ${show(value)} to ${of.key}, as event ${other.invoked.index} did: ` +
        'nothing can be said about records that look the same; every value that is sent to a key must be different.',
    )
  }
  of.writers.set(value, operation)
}
