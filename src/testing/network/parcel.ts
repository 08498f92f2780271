import type { CloseReason } from '../../net/transport.ts'

/** What one end of a channel sends to the other. */
export type Sent =
  | { readonly kind: 'message'; readonly number: number; readonly bytes: Uint8Array }
  | { readonly kind: 'close'; readonly reason: CloseReason }
  | { readonly kind: 'opened' | 'ping' | 'pong' }

/** What arrives: the same, or the news that the channel is no more. A local reset crosses no link. */
export type Arrival = Sent | { readonly kind: 'reset'; readonly isLocal: boolean }

/** What is under way, and when it is there, in the time of the target. */
export interface Parcel {
  readonly what: Arrival
  arrivalMs: number
}

/** Bytes of a control frame. */
export const CONTROL_BYTES = 6

export function sizeOf(what: Arrival): number {
  return what.kind === 'message' ? what.bytes.length : CONTROL_BYTES
}

export function isLocalReset(what: Arrival | undefined): boolean {
  return what?.kind === 'reset' && what.isLocal
}
