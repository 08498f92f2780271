// CHK-17: committed transactions of a subscribed process consume every record once.
import { EVIDENCE_MAX, listed, show, type Tell } from './finding.ts'
import type { HistoryValue } from './history.ts'
import { eventOf, type HistoryIndex, type KeyIndex } from './history-index.ts'

interface Consumed {
  readonly offset: number
  count: number
  /** At most the first `EVIDENCE_MAX`. */
  readonly events: number[]
}

type Counts = Map<KeyIndex, Map<HistoryValue, Consumed>>

export function checkConsumeCounts({ operations }: HistoryIndex, tell: Tell): void {
  const counts = new Map<number, Counts>()
  const subscribed = new Set<number>()
  for (const indexed of operations) {
    const { operation, process, type } = indexed
    if (operation.f === 'crash' || operation.f === 'assign') subscribed.delete(process)
    if (operation.f === 'subscribe' && type !== 'fail') subscribed.add(process)
    if (operation.f !== 'txn' || type !== 'ok' || !subscribed.has(process)) continue
    const ofProcess: Counts = counts.get(process) ?? new Map()
    counts.set(process, ofProcess)
    for (const { of, records } of indexed.reads) {
      const ofKey = ofProcess.get(of) ?? new Map<HistoryValue, Consumed>()
      ofProcess.set(of, ofKey)
      for (const [offset, value] of records) {
        const consumed = ofKey.get(value) ?? { offset, count: 0, events: [] }
        ofKey.set(value, consumed)
        consumed.count++
        if (consumed.events.length < EVIDENCE_MAX) consumed.events.push(eventOf(indexed))
      }
    }
  }
  for (const [process, ofProcess] of counts) {
    for (const [{ key }, ofKey] of ofProcess) {
      for (const [value, { offset, count, events }] of ofKey) {
        if (count === 1) continue
        tell({
          name: 'consume-count',
          key,
          process,
          events,
          evidence: { value, offset, count },
          message: `${key}: committed transactions of process ${process} consumed ${show(value)} at offset ${offset} ${count} times (events ${listed(events, count)}); exactly once is right.`,
        })
      }
    }
  }
}
