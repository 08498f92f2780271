// Writes small histories down: one line for each operation, one millisecond for each event.
import type {
  HistoryEvent,
  HistoryKey,
  HistoryOperation,
  HistoryStep,
  SeenRecord,
  SendStep,
} from '../../src/history/history.ts'
import { HistoryRecorder, type Invocation } from '../../src/history/history-recorder.ts'

type Type = 'ok' | 'fail' | 'info'
type Reads = Readonly<Record<HistoryKey, readonly SeenRecord[]>>
/** A key, a value and, where it is known, the offset. */
type Sent = readonly [key: HistoryKey, value: string | number, offset?: number | undefined]

/** Behind the rest of a history, so that processes need not be named where they do not matter. */
const OWN_PROCESSES_FROM = 100

export class Script {
  readonly recorder = new HistoryRecorder()
  nowMs = 0
  #nextOwn = OWN_PROCESSES_FROM

  get events(): readonly HistoryEvent[] {
    return this.recorder.events
  }

  /** A process for one operation. */
  own(): number {
    return this.#nextOwn++
  }

  send(type: Type, sent: readonly Sent[], process = this.own()): this {
    return this.run(process, type, { f: 'send', steps: sent.map(sendStep) })
  }

  poll(type: Type, reads: Reads, process = this.own(), rebalanced?: readonly HistoryKey[]): this {
    const operation = { f: 'poll', steps: [['poll', reads]] } as const
    return this.run(process, type, rebalanced === undefined ? operation : { ...operation, rebalanced })
  }

  txn(type: Type, steps: readonly HistoryStep[], process = this.own()): this {
    return this.run(process, type, { f: 'txn', steps })
  }

  assign(process: number, keys: readonly HistoryKey[], seekToBeginning = false): this {
    return this.run(process, 'ok', { f: 'assign', keys, ...(seekToBeginning ? { seekToBeginning } : {}) })
  }

  subscribe(process: number, keys: readonly HistoryKey[]): this {
    return this.run(process, 'ok', { f: 'subscribe', keys })
  }

  finalPhase(): this {
    return this.run(this.own(), 'ok', { f: 'final-phase' })
  }

  run(process: number, type: Type, operation: HistoryOperation): this {
    this.complete(this.invoke(process, operation), type, operation)
    return this
  }

  invoke(process: number, operation: HistoryOperation): Invocation {
    return this.recorder.invoke({ process, timeMs: this.nowMs++, operation: asInvoked(operation) })
  }

  complete(invocation: Invocation, type: Type, operation: HistoryOperation): void {
    this.recorder.complete(invocation, { type, timeMs: this.nowMs++, operation })
  }
}

function sendStep([key, value, offset]: Sent): SendStep {
  return offset === undefined ? ['send', key, value] : ['send', key, value, offset]
}

/** What is known before: no offsets, no records. */
function asInvoked(operation: HistoryOperation): HistoryOperation {
  if (!('steps' in operation)) return operation
  const { f, steps } = operation
  return { f, steps: steps.map((step) => (step[0] === 'poll' ? ['poll'] : ['send', step[1], step[2]])) }
}
