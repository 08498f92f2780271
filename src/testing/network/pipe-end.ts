import type { Arrival } from './parcel.ts'
import type { Party } from './party.ts'

/** One end of a channel, as the pipes at it see it. What it is told, it is told in a turn of its own party. */
export interface PipeEnd {
  readonly party: Party
  /** Its socket exists no more. */
  readonly isGone: boolean
  /** Whether it takes what arrives; before it was started it does not. */
  readonly isReceiving: boolean
  receive(arrival: Arrival): void
  /** `bufferedBytes` has come back to 0. */
  drained(): void
  /** TCP gave up sending again. */
  retransmitTimedOut(): void
}
