// Checks that a process's records stand in the log in the order in which it has sent them.
import type { Removals } from './check-losses.ts'
import { gapOf, listOf, text } from './check-poll-order.ts'
import type { Tell } from './finding.ts'
import type { SeenRecord } from './history.ts'
import {
  eventOf,
  type HistoryIndex,
  type IndexedOperation,
  type KeyIndex,
  type KeyWrite,
} from './history-index.ts'

interface Sent {
  /** null: nothing shows where the value stands. */
  readonly record: SeenRecord | null
  /** Whether it may stand there because it was sent again: what was sent after it can stand before that. */
  readonly mayBeCopy: boolean
  readonly event: number
}

/** CHK-10: from one operation of a process to the next. CHK-11: inside one operation. What failed for sure is left out. */
export function checkSendOrder({ operations }: HistoryIndex, removals: Removals, tell: Tell): void {
  const lastSends = new Map<number, Map<KeyIndex, Sent>>()
  for (const operation of operations) {
    if (operation.writes.length === 0 || operation.type === 'fail') continue
    const before = lastSends.get(operation.process) ?? new Map<KeyIndex, Sent>()
    lastSends.set(operation.process, before)
    const now = new Map<KeyIndex, Sent>()
    const event = eventOf(operation)
    for (const write of operation.writes) {
      const sent = { record: recordOf(write), mayBeCopy: mayBeCopy(write, removals), event }
      const inside = now.get(write.of)
      if (inside !== undefined) checkInside(operation, { of: write.of, from: inside, to: sent }, tell)
      else checkBetween(operation, { of: write.of, from: before.get(write.of), to: sent }, tell)
      now.set(write.of, sent)
    }
    for (const [of, sent] of now) before.set(of, sent)
  }
}

interface Step {
  readonly of: KeyIndex
  readonly from: Sent | undefined
  readonly to: Sent
}

function pairOf({ of, from, to }: Step) {
  if (from === undefined || from.record === null || to.record === null || from.mayBeCopy) return null
  const delta = of.order.placeOf(to.record[0])! - of.order.placeOf(from.record[0])!
  return { from: from.record, to: to.record, delta }
}

function checkInside({ process }: IndexedOperation, step: Step, tell: Tell): void {
  const pair = pairOf(step)
  if (pair === null || pair.delta === 1) return
  const { key } = step.of
  const place = { key, process, events: [step.to.event] }
  const where = `${key}: one operation of process ${process} (event ${step.to.event}) sent`
  if (pair.delta < 1) {
    const message = `${where} ${text(pair.to)} after ${text(pair.from)}: the order was turned round.`
    tell({ name: 'int-nonmonotonic-send', ...place, evidence: pair, message })
  } else {
    const gap = gapOf(step.of, pair)
    const message = `${where} ${text(pair.from)} and ${text(pair.to)}; in between stands ${listOf(gap)}.`
    tell({ name: 'int-send-skip', ...place, evidence: gap, message })
  }
}

function checkBetween({ process }: IndexedOperation, step: Step, tell: Tell): void {
  const pair = pairOf(step)
  if (pair === null || pair.delta >= 1) return
  const { key } = step.of
  tell({
    name: 'nonmonotonic-send',
    key,
    process,
    events: [step.from!.event, step.to.event],
    evidence: pair,
    message: `${key}: process ${process} sent ${text(pair.from)} (event ${step.from!.event}) and after it ${text(pair.to)} (event ${step.to.event}): the order was turned round.`,
  })
}

/** Where a value that was sent stands: as acknowledged, else where it was seen first. */
function recordOf({ of, value, offset }: KeyWrite): SeenRecord | null {
  if (offset !== null && of.order.placeOf(offset) !== undefined) return [offset, value]
  const place = of.order.firstPlaceOf(value)
  return place === undefined ? null : [of.order.offsetAt(place), value]
}

/**
 * Whether the place at which a value was seen first may be that of a copy, because it was sent again: nobody has acknowledged
 * it, and the record that stood there before may have been deleted or compacted away before anybody read it.
 */
function mayBeCopy({ of, value, offset }: KeyWrite, { logStarts, superseded }: Removals): boolean {
  return offset === null && ((logStarts.get(of.key) ?? 0) > 0 || superseded.mayLoseCopies(value))
}
