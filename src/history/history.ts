// What clients did and saw, as Jepsen's Kafka workload records it (jepsen-io/jepsen, jepsen/src/jepsen/tests/kafka.clj).
// The same history comes from the simulator, from real processes and from users, and one checker judges all of them.

/** One partition of one topic, as `topic/partition`: `orders/0`. */
export type HistoryKey = string

/** What a record carried. Every value sent to a key is unique within that key. */
export type HistoryValue = string | number

/** A record that was read: its offset and its value. */
export type SeenRecord = readonly [offset: number, value: HistoryValue]

/** A send: without an offset as long as none is known. An offset that is known stays, also where the outcome is not `ok`. */
export type SendStep = readonly ['send', HistoryKey, HistoryValue, (number | null)?]

/** A poll: what it returned, per key in the order in which it came; absent until it is complete. */
export type PollStep = readonly ['poll', Readonly<Record<HistoryKey, readonly SeenRecord[]>>?]

export type HistoryStep = SendStep | PollStep

export type HistoryOperation =
  | {
      readonly f: 'send' | 'poll' | 'txn'
      readonly steps: readonly HistoryStep[]
      /** Keys that were taken away from or given to this process while the operation ran. */
      readonly rebalanced?: readonly HistoryKey[]
    }
  | {
      readonly f: 'assign' | 'subscribe'
      readonly keys: readonly HistoryKey[]
      readonly seekToBeginning?: boolean
    }
  /** The process threw its client away; whatever it reads afterwards starts anew. */
  | { readonly f: 'crash' }
  /** All faults are over: from here on everything that was sent has to be read (CHK-13). */
  | { readonly f: 'final-phase' }

/**
 * `ok` happened; `fail` certainly did not happen; `info` may have happened, now or later. Every `invoke` is followed by
 * at most one of the other three; one that never ended counts as `info`.
 */
export type HistoryEventType = 'invoke' | 'ok' | 'fail' | 'info'

export interface HistoryEvent {
  /** Counts the events from 0. */
  readonly index: number
  /** Milliseconds on a clock that all processes share and that never goes back. */
  readonly timeMs: number
  /** One producer or one consumer; it does one operation at a time. */
  readonly process: number
  readonly type: HistoryEventType
  readonly operation: HistoryOperation
  /** Of `fail` and `info`: the code of the error. */
  readonly error?: string
}
