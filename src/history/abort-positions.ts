// CHK-18: where a process goes on after a transaction that read records and was aborted.
import type { HistoryEvent, HistoryKey } from './history.ts'
import { eventOf, indexHistory, type KeyIndex } from './history-index.ts'

/**
 * `rewind`: at the first record of the aborted transaction, which is right: what it consumed was not consumed. `advance`:
 * behind its last record, so they are never processed. `rewind-further`: before its first record. `other`: elsewhere.
 */
export type AbortPositionKind = 'rewind' | 'advance' | 'rewind-further' | 'other'

export interface AbortPosition {
  readonly kind: AbortPositionKind
  readonly process: number
  readonly key: HistoryKey
  /** The event that ended the aborted transaction. */
  readonly abortEvent: number
  /** The first and the last offset that it had read. */
  readonly aborted: readonly [first: number, last: number]
  /** The event of the next read of the key, and the first offset of that. */
  readonly nextEvent: number
  readonly nextOffset: number
}

/**
 * Classifies each abort of a transaction by the next read of the key in the same process. One after which the process
 * did not read the key again, or was assigned anew before, is left out.
 * @throws VltavaError INVALID_ARGUMENT when the events are no history.
 */
export function abortPositions(events: readonly HistoryEvent[]): readonly AbortPosition[] {
  const positions: AbortPosition[] = []
  const pending = new Map<number, Map<KeyIndex, Pick<AbortPosition, 'abortEvent' | 'aborted'>>>()
  const history = indexHistory(events)
  for (const indexed of history.operations) {
    const { process, operation, type, reads } = indexed
    if ('keys' in operation || operation.f === 'crash') pending.delete(process)
    const ofProcess = pending.get(process) ?? new Map()
    pending.set(process, ofProcess)
    for (const { of, records } of reads) {
      const [first, last] = [records[0]![0], records[records.length - 1]![0]]
      const abort = ofProcess.get(of)
      ofProcess.delete(of)
      if (abort !== undefined) {
        const kind = kindOf(of, { aborted: abort.aborted, nextOffset: first })
        positions.push({
          kind,
          process,
          key: of.key,
          ...abort,
          nextEvent: eventOf(indexed),
          nextOffset: first,
        })
      }
      if (operation.f === 'txn' && type === 'fail') {
        ofProcess.set(of, { abortEvent: eventOf(indexed), aborted: [first, last] })
      }
    }
  }
  return positions
}

function kindOf(
  { order }: KeyIndex,
  read: { readonly aborted: readonly [number, number]; readonly nextOffset: number },
): AbortPositionKind {
  const [first, last] = read.aborted.map((offset) => order.placeOf(offset)!)
  const next = order.placeOf(read.nextOffset)!
  if (next === first) return 'rewind'
  if (next < first!) return 'rewind-further'
  return next === last! + 1 ? 'advance' : 'other'
}
