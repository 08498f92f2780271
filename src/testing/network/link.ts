import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'

/** How long one message is under way. Exponentially distributed above the minimum, as queues in switches make it. */
export interface Latency {
  /** Milliseconds, 0 or more. */
  readonly minMs: number
  /** Milliseconds, `minMs` or more. */
  readonly meanMs: number
}

/** One direction between two parties. */
export interface LinkState {
  readonly latency: Latency
  /** Of each channel, above 0. */
  readonly bytesPerMs: number
  /** What is sent is held, as TCP would send it again and again, and dials hang until they time out. */
  readonly blocked: boolean
  /** Dials are refused although somebody listens. */
  readonly refuseDials: boolean
}

/** A link inside of a data centre. */
export const LINK_DEFAULTS: LinkState = {
  latency: { minMs: 0.1, meanMs: 0.5 },
  bytesPerMs: Number.POSITIVE_INFINITY,
  blocked: false,
  refuseDials: false,
}

/** Inside of one machine. */
const LOOPBACK_LATENCY: Latency = { minMs: 0.01, meanMs: 0.05 }

export class Link {
  #state: LinkState

  constructor(state: LinkState) {
    this.#state = checked(state)
  }

  get blocked(): boolean {
    return this.#state.blocked
  }

  get refuseDials(): boolean {
    return this.#state.refuseDials
  }

  get bytesPerMs(): number {
    return this.#state.bytesPerMs
  }

  set(change: Partial<LinkState>): void {
    this.#state = checked({ ...this.#state, ...change })
  }

  /** In whole microseconds, so that times stay readable in traces. */
  drawLatencyMs(random: Random): number {
    const { minMs, meanMs } = this.#state.latency
    const ms = minMs - (meanMs - minMs) * Math.log((random.u32() + 1) / 2 ** 32)
    return Math.round(ms * 1_000) / 1_000
  }
}

/** All directed links, made when first asked for. */
export class LinkTable {
  readonly #defaults: LinkState
  readonly #links = new Map<string, Map<string, Link>>()

  constructor(defaults: Partial<LinkState> = {}) {
    this.#defaults = checked({ ...LINK_DEFAULTS, ...defaults })
  }

  get(from: string, to: string): Link {
    let row = this.#links.get(from)
    if (row === undefined) {
      row = new Map()
      this.#links.set(from, row)
    }
    let link = row.get(to)
    if (link === undefined) {
      link = new Link(from === to ? { ...LINK_DEFAULTS, latency: LOOPBACK_LATENCY } : this.#defaults)
      row.set(to, link)
    }
    return link
  }

  *all(): Iterable<Link> {
    for (const row of this.#links.values()) yield* row.values()
  }
}

function checked(state: LinkState): LinkState {
  const { minMs, meanMs } = state.latency
  assert(minMs >= 0 && Number.isFinite(minMs), `latency.minMs must be 0 or more, got ${minMs}`)
  assert(meanMs >= minMs && Number.isFinite(meanMs), `latency.meanMs must be at least minMs, got ${meanMs}`)
  assert(state.bytesPerMs > 0, `bytesPerMs must be above 0, got ${state.bytesPerMs}`)
  return state
}
