// The network of a chaos run: one proxy for each node that talks to another, and one for the clients of each node.
import { ChaosProxy, CLEAR, type LinkConditions } from './chaos-proxy.ts'

/** A node by its id, or all clients together. */
export type Place = number | 'clients'

/** From where to where: packets, not connections. */
export interface Direction {
  readonly from: Place
  readonly to: Place
}

/** From where to which node connections are dialled. */
export interface Dialled extends Direction {
  readonly to: number
}

/** What is wrong with the network. Several can be at once; they add up. */
export interface Disturbance {
  /** Nothing gets through in these directions. */
  readonly cut?: readonly Direction[]
  /** Connections that are dialled in these directions are reset at once. */
  readonly refuse?: readonly Dialled[]
  /** Everything in both directions between these places is late and narrow. */
  readonly slow?: {
    readonly between: readonly Direction[]
    readonly delayMs: number
    readonly bytesPerSecond: number | null
  }
}

interface Link extends Dialled {
  readonly proxy: ChaosProxy
}

export interface NetworkNode {
  readonly id: number
  readonly port: number
}

export class ChaosNetwork {
  readonly #links: readonly Link[]
  readonly #disturbances = new Set<Disturbance>()

  private constructor(links: readonly Link[]) {
    this.#links = links
  }

  static async open(nodes: readonly NetworkNode[]): Promise<ChaosNetwork> {
    const places: readonly Place[] = ['clients', ...nodes.map(({ id }) => id)]
    const directions = nodes.flatMap(({ id, port }) =>
      places.filter((from) => from !== id).map((from) => ({ from, to: id, port })),
    )
    const links: Link[] = []
    try {
      for (const { from, to, port } of directions) {
        links.push({ from, to, proxy: await ChaosProxy.open(port) })
      }
    } catch (error) {
      await Promise.all(links.map(({ proxy }) => proxy.close()))
      throw error
    }
    return new ChaosNetwork(links)
  }

  /** The port at which a place reaches a node. */
  port(from: Place, to: number): number {
    return this.#link(from, to).proxy.port
  }

  /** Disturbs the network until the returned function is called or everything is healed. */
  disturb(disturbance: Disturbance): () => void {
    this.#disturbances.add(disturbance)
    this.#apply()
    return () => {
      if (this.#disturbances.delete(disturbance)) this.#apply()
    }
  }

  /**
   * Resets the connections that were dialled in these directions.
   * @param afterBytes null: all of them at once; else each link breaks the one connection that carries the byte behind
   *   so many more.
   * @returns how many connections were reset at once.
   */
  reset(directions: readonly Dialled[], afterBytes: number | null): number {
    const proxies = directions.map(({ from, to }) => this.#link(from, to).proxy)
    if (afterBytes === null) return proxies.reduce((count, proxy) => count + proxy.reset(), 0)
    for (const proxy of proxies) proxy.breakAfter(afterBytes)
    return 0
  }

  /** Ends all disturbances. */
  heal(): void {
    this.#disturbances.clear()
    for (const { proxy } of this.#links) proxy.keepWhole()
    this.#apply()
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map(({ proxy }) => proxy.close()))
  }

  #link(from: Place, to: number): Link {
    const link = this.#links.find((candidate) => candidate.from === from && candidate.to === to)
    if (link === undefined) throw new Error(`there is no link from ${from} to ${to}`)
    return link
  }

  #apply(): void {
    const disturbances = [...this.#disturbances]
    for (const { from, to, proxy } of this.#links) {
      const conditions = conditionsOf({ from, to }, disturbances)
      if (!sameConditions(conditions, proxy.conditions)) proxy.setConditions(conditions)
    }
  }
}

/** What several disturbances make of one link: whatever any of them cuts is cut, delays add up, the narrowest counts. */
export function conditionsOf(link: Direction, disturbances: readonly Disturbance[]): LinkConditions {
  const back = { from: link.to, to: link.from }
  let { holdsForward, holdsBackward, refuses, delayMs, bytesPerSecond } = CLEAR
  for (const { cut = [], refuse = [], slow } of disturbances) {
    holdsForward ||= includes(cut, link)
    holdsBackward ||= includes(cut, back)
    refuses ||= includes(refuse, link)
    if (slow === undefined || !(includes(slow.between, link) || includes(slow.between, back))) continue
    delayMs += slow.delayMs
    const narrowest = Math.min(bytesPerSecond ?? Infinity, slow.bytesPerSecond ?? Infinity)
    bytesPerSecond = Number.isFinite(narrowest) ? narrowest : null
  }
  return { holdsForward, holdsBackward, refuses, delayMs, bytesPerSecond }
}

function includes(directions: readonly Direction[], wanted: Direction): boolean {
  return directions.some(({ from, to }) => from === wanted.from && to === wanted.to)
}

function sameConditions(a: LinkConditions, b: LinkConditions): boolean {
  return (Object.keys(a) as (keyof LinkConditions)[]).every((name) => a[name] === b[name])
}
