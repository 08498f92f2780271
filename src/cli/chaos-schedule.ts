// Which faults a chaos run injects, and when: drawn from a seed before the run, so that the same seed gives the same
// schedule. How it interleaves with the cluster is up to the machine.
import { type Random, seededRandom } from '../base/random.ts'
import type { Dialled, Direction, Place } from './chaos-network.ts'

/** The faults by name, with what they do. */
export const FAULTS = {
  kill: 'SIGKILL to a node, which is started again later',
  'kill-all': 'SIGKILL to all nodes at once, as when the power fails',
  pause: 'SIGSTOP to a node, SIGCONT later',
  'pause-kill': 'SIGSTOP to some nodes, SIGKILL and restart of another one meanwhile, then SIGCONT',
  partition: 'cuts links between nodes, and of clients to nodes: halves, one alone, a bridge, one way only',
  reset: 'resets connections, at once or in the middle of a message, and refuses new ones for a while',
  slow: 'delays links and narrows them',
  restart: 'SIGTERM to a node, which is started again when it has stopped',
} as const

export type FaultName = keyof typeof FAULTS
export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[]

export type Fault =
  | { readonly kind: 'kill' | 'restart'; readonly node: number; readonly downMs: number }
  | { readonly kind: 'kill-all'; readonly downMs: number }
  | { readonly kind: 'pause'; readonly node: number; readonly pausedMs: number }
  | {
      readonly kind: 'pause-kill'
      readonly paused: readonly number[]
      readonly killed: number
      /** From the pause to the kill, from the kill to the start, from the start to the end of the pause. */
      readonly beforeMs: number
      readonly downMs: number
      readonly afterMs: number
    }
  | {
      readonly kind: 'partition'
      /** Such as "1 | 2, 3". */
      readonly shape: string
      readonly cut: readonly Direction[]
      readonly durationMs: number
    }
  | {
      readonly kind: 'reset'
      readonly dialled: readonly Dialled[]
      /** null: at once. */
      readonly afterBytes: number | null
      readonly refusedMs: number
    }
  | {
      readonly kind: 'slow'
      readonly between: readonly Direction[]
      readonly delayMs: number
      readonly bytesPerSecond: number | null
      readonly durationMs: number
    }

export interface ScheduledFault {
  /** Milliseconds from the start of the workload. */
  readonly atMs: number
  readonly fault: Fault
}

export interface ScheduleOptions {
  readonly seed: number
  readonly faults: readonly FaultName[]
  readonly nodes: readonly number[]
  readonly durationMs: number
  /** Mean time between the starts of two faults. */
  readonly intervalMs: number
}

/** Below the time a broker may stay away unnoticed, and well above the session timeout (3 s). */
const SHORTEST_MS = 50
const LONGEST_MS = 6_000
const MAJORITY_HIT_ONE_IN = 4

/** Draws the schedule. Faults overlap, but no node has two that concern its process at once, and the network is cut one way at a time. */
export function drawSchedule(options: ScheduleOptions): readonly ScheduledFault[] {
  const { seed, faults, durationMs, intervalMs } = options
  const drawing = new Drawing(seededRandom(seed), options.nodes)
  const schedule: ScheduledFault[] = []
  let atMs = drawing.gapMs(intervalMs)
  while (atMs < durationMs) {
    const fault = drawing.fault(drawing.pick(faults), atMs)
    if (fault !== null) schedule.push({ atMs, fault })
    atMs += drawing.gapMs(intervalMs)
  }
  return schedule
}

class Drawing {
  readonly #random: Random
  readonly #nodes: readonly number[]
  /** Until when the process of a node has a fault, and until when the network is cut. */
  readonly #busyUntilMs = new Map<number | 'network', number>()

  constructor(random: Random, nodes: readonly number[]) {
    this.#random = random
    this.#nodes = nodes
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)]!
  }

  /** Half to one and a half times the mean. */
  gapMs(meanMs: number): number {
    return Math.ceil(meanMs / 2) + this.#random.below(Math.max(1, meanMs))
  }

  /** null where everything this fault could hit has one already, or a majority would be hit for no good reason. */
  fault(kind: FaultName, atMs: number): Fault | null {
    const free = this.#nodes.filter((node) => (this.#busyUntilMs.get(node) ?? 0) <= atMs)
    switch (kind) {
      case 'kill':
      case 'restart':
      case 'pause':
        return this.#mayHitOneMore(free) ? this.#processFault(kind, { node: this.pick(free), atMs }) : null
      case 'kill-all': {
        if (free.length < this.#nodes.length) return null
        const downMs = this.#durationMs()
        this.#occupy(this.#nodes, atMs + downMs)
        return { kind, downMs }
      }
      case 'pause-kill':
        return free.length < 2 ? null : this.#pauseKill(free, atMs)
      case 'partition':
        return (this.#busyUntilMs.get('network') ?? 0) > atMs ? null : this.#partition(atMs)
      case 'reset': {
        const afterBytes = this.#chance(2) ? this.#random.below(64 * 1024) : null
        const refusedMs = this.#chance(2) ? this.#durationMs() : 0
        return { kind, dialled: this.#links(), afterBytes, refusedMs }
      }
      case 'slow': {
        const delayMs = this.#between(1, 500)
        const bytesPerSecond = this.#chance(2) ? this.#between(2_000, 1_000_000) : null
        return { kind, between: this.#links(), delayMs, bytesPerSecond, durationMs: this.#durationMs() }
      }
    }
  }

  /**
   * A cluster without a majority does nothing, which is a fault worth having, but not most of the time: what goes wrong
   * goes wrong while there is work.
   */
  #mayHitOneMore(free: readonly number[]): boolean {
    if (free.length === 0) return false
    const hit = this.#nodes.length - free.length
    const keepsMajority = hit + 1 <= Math.floor((this.#nodes.length - 1) / 2)
    return hit === 0 || keepsMajority || this.#chance(MAJORITY_HIT_ONE_IN)
  }

  #processFault(
    kind: 'kill' | 'restart' | 'pause',
    { node, atMs }: { readonly node: number; readonly atMs: number },
  ): Fault {
    const durationMs = this.#durationMs()
    this.#occupy([node], atMs + durationMs)
    return kind === 'pause' ? { kind, node, pausedMs: durationMs } : { kind, node, downMs: durationMs }
  }

  #pauseKill(free: readonly number[], atMs: number): Fault {
    const [killed, ...others] = this.#shuffled(free)
    const paused = others.slice(0, 1 + this.#random.below(others.length)).toSorted((a, b) => a - b)
    const [beforeMs, downMs, afterMs] = [
      this.#durationMs() / 3,
      this.#durationMs() / 3,
      this.#durationMs() / 3,
    ]
    this.#occupy([killed!, ...paused], atMs + beforeMs + downMs + afterMs)
    return { kind: 'pause-kill', paused, killed: killed!, beforeMs, downMs, afterMs }
  }

  #partition(atMs: number): Fault {
    const durationMs = this.#durationMs()
    this.#busyUntilMs.set('network', atMs + durationMs)
    const nodes = this.#shuffled(this.#nodes)
    const shapes = nodes.length < 2 ? ['clients'] : ['halves', 'alone', 'one-way', 'clients']
    if (nodes.length > 2) shapes.push('bridge')
    const { shape, cut } = this.#shape(this.pick(shapes), nodes)
    return { kind: 'partition', shape, cut, durationMs }
  }

  #shape(
    name: string,
    nodes: readonly number[],
  ): { readonly shape: string; readonly cut: readonly Direction[] } {
    const [first, ...rest] = nodes
    const middle = Math.floor(nodes.length / 2)
    switch (name) {
      case 'halves':
        return this.#apart(nodes.slice(0, middle), nodes.slice(middle))
      case 'alone':
        return this.#apart([first!], rest)
      case 'bridge': {
        // The first one sees all others, which see only their own side: with three nodes, one missing link.
        const half = Math.floor(rest.length / 2)
        const cut = between(rest.slice(0, half), rest.slice(half))
        return { shape: `${names(rest.slice(0, half))} | ${names(rest.slice(half))} over ${first}`, cut }
      }
      case 'one-way': {
        const hears = this.#chance(2)
        const cut = rest.map((other) => (hears ? { from: first!, to: other } : { from: other, to: first! }))
        return {
          shape: `${first} ${hears ? 'hears the others, who do not hear it' : 'does not hear the others'}`,
          cut,
        }
      }
      default:
        return { shape: `clients | ${first}`, cut: between(['clients'], [first!]) }
    }
  }

  /** Two groups of nodes; the clients see both, or only one. */
  #apart(
    left: readonly number[],
    right: readonly number[],
  ): { readonly shape: string; readonly cut: readonly Direction[] } {
    const cut = between(left, right)
    const clientsSee = this.#random.below(3)
    if (clientsSee === 0) return { shape: `${names(left)} | ${names(right)}`, cut }
    const unseen = clientsSee === 1 ? right : left
    const sides: readonly (readonly Place[])[] =
      clientsSee === 1 ? [['clients', ...left], right] : [left, ['clients', ...right]]
    return {
      shape: sides.map((side) => names(side)).join(' | '),
      cut: [...cut, ...between(['clients'], unseen)],
    }
  }

  /** Everything to one node, everything from one node, one link, or all of them. */
  #links(): readonly Dialled[] {
    const all = (['clients', ...this.#nodes] as const).flatMap((from) =>
      this.#nodes.filter((to) => to !== from).map((to): Dialled => ({ from, to })),
    )
    const node = this.pick(this.#nodes)
    switch (this.#random.below(4)) {
      case 0:
        return all.filter(({ to }) => to === node)
      case 1:
        return all.filter(({ from, to }) => from === node || to === node)
      case 2:
        return [this.pick(all)]
      default:
        return all
    }
  }

  #occupy(nodes: readonly number[], untilMs: number): void {
    for (const node of nodes) this.#busyUntilMs.set(node, untilMs)
  }

  #chance(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0
  }

  #durationMs(): number {
    return this.#between(SHORTEST_MS, LONGEST_MS)
  }

  /** Every order of magnitude is as likely as any other: timeouts differ by orders of magnitude, too. */
  #between(least: number, most: number): number {
    return Math.round(least * (most / least) ** (this.#random.below(1_001) / 1_000))
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const left = [...items]
    return items.map(() => left.splice(this.#random.below(left.length), 1)[0]!)
  }
}

function between(left: readonly Place[], right: readonly Place[]): readonly Direction[] {
  return left.flatMap((a) =>
    right.flatMap((b) => [
      { from: a, to: b },
      { from: b, to: a },
    ]),
  )
}

function names(places: readonly Place[]): string {
  return places.map(String).toSorted().join(', ')
}

/** A fault in words, for the line that announces it. */
export function describeFault(fault: Fault): string {
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`
  switch (fault.kind) {
    case 'kill':
      return `kill node ${fault.node}, start it after ${seconds(fault.downMs)}`
    case 'restart':
      return `restart node ${fault.node} in order, start it ${seconds(fault.downMs)} after it stopped`
    case 'kill-all':
      return `kill all nodes, start them after ${seconds(fault.downMs)}`
    case 'pause':
      return `pause node ${fault.node} for ${seconds(fault.pausedMs)}`
    case 'pause-kill': {
      const pausedMs = fault.beforeMs + fault.downMs + fault.afterMs
      return `pause ${names(fault.paused)} for ${seconds(pausedMs)}, kill ${fault.killed} meanwhile and start it after ${seconds(fault.downMs)}`
    }
    case 'partition':
      return `partition ${fault.shape} for ${seconds(fault.durationMs)}`
    case 'reset': {
      const when = fault.afterBytes === null ? 'at once' : `behind ${fault.afterBytes} bytes`
      const refusing = fault.refusedMs === 0 ? '' : `, refuse new ones for ${seconds(fault.refusedMs)}`
      return `reset connections ${linksText(fault.dialled)} ${when}${refusing}`
    }
    case 'slow': {
      const width = fault.bytesPerSecond === null ? '' : `, ${fault.bytesPerSecond} bytes/s`
      return `slow ${linksText(fault.between)}: ${fault.delayMs} ms${width}, for ${seconds(fault.durationMs)}`
    }
  }
}

function linksText(links: readonly Direction[]): string {
  const shown = links.slice(0, 4).map(({ from, to }) => `${from}-${to}`)
  return links.length > 4 ? `${shown.join(' ')} and ${links.length - 4} more` : shown.join(' ')
}
