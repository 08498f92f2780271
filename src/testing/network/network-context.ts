import type { Random } from '../../base/random.ts'
import type { NetworkCounts } from './network-counts.ts'
import type { NetworkTrace } from './network-trace.ts'

/** What all parts of one simulated network share. */
export interface NetworkContext {
  readonly random: Random
  readonly counts: NetworkCounts
  /** Null when nobody listens to events. */
  readonly trace: NetworkTrace | null
  /** Bytes of a message stream that the kernels of both ends hold before the sender notices. */
  readonly socketBufferBytes: number
  readonly retransmitTimeoutMs: { readonly minMs: number; readonly maxMs: number }
  readonly hasKeepalive: boolean
}

/** Milliseconds TCP goes on sending again before it gives up. */
export function drawRetransmitTimeoutMs({ random, retransmitTimeoutMs }: NetworkContext): number {
  const { minMs, maxMs } = retransmitTimeoutMs
  return minMs + random.below(Math.floor(maxMs - minMs) + 1)
}
