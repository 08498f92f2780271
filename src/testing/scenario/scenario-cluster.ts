import { VltavaError } from '../../model/errors.ts'
import type { NodeId } from '../../model/ids.ts'
import type { SimulatedNode } from '../simulation/simulated-node.ts'
import type { World } from './world.ts'

/** The name of the scenario among the parties of the network. */
export const SCENARIO = 'scenario'

export interface ScenarioClusterOptions {
  readonly world: World
  /** The names of the processes of the scenario. */
  readonly processes: () => readonly string[]
}

/** The brokers of a simulation, for faults by hand; drawn faults go on beside them unless `faults` is `[]`. */
export class ScenarioCluster {
  readonly #world: World
  readonly #processes: () => readonly string[]

  constructor({ world, processes }: ScenarioClusterOptions) {
    this.#world = world
    this.#processes = processes
  }

  /** How many there are; their ids are 1 to this. */
  get brokers(): number {
    return this.#world.plan.nodes
  }

  /** Whether every broker runs and serves. */
  get isReady(): boolean {
    return this.#world.cluster.nodes.every(({ isReady }) => isReady)
  }

  /**
   * As SIGKILL: what was written stays, all else is gone at once. Does nothing for a broker that is down.
   * @throws VltavaError INVALID_ARGUMENT for an id that there is not; so do the others.
   */
  kill(id: NodeId): void {
    this.#node(id).kill()
  }

  /** What was not fsynced is lost or kept by chance, and nobody hears of it. */
  losePower(id: NodeId): void {
    this.#node(id).losePower()
  }

  /** As SIGTERM: it gives its leaderships away, which takes its time. Does nothing for a broker that is down. */
  stop(id: NodeId): void {
    this.#node(id).stop()
  }

  /** Starts a broker that is down; does nothing for one that runs. */
  restart(id: NodeId): void {
    this.#node(id).start()
  }

  /** As SIGSTOP: nothing happens in it, and its connections stay. */
  pause(id: NodeId): void {
    this.#node(id).pause()
  }

  /** As SIGCONT. */
  resume(id: NodeId): void {
    this.#node(id).resume()
  }

  /**
   * Cuts every link between a party of one group and one of the other, both ways: what is sent waits.
   * @param groupA, groupB ids of brokers, names of processes, and `'scenario'` for the clients of `sim.client()`.
   * @throws VltavaError INVALID_ARGUMENT for a party that there is not, or one in both groups.
   */
  partition(groupA: readonly (NodeId | string)[], groupB: readonly (NodeId | string)[]): void {
    const both = groupA.find((party) => groupB.includes(party))
    if (both !== undefined) {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `partition: ${both} is in both groups; the groups must differ.`,
      )
    }
    const [a, b] = [groupA.map((party) => this.#nameOf(party)), groupB.map((party) => this.#nameOf(party))]
    this.#world.story.add(`partition ${a.join(',')} | ${b.join(',')}`)
    this.#world.network.partition([a, b])
  }

  /** Ends all partitions, those that were drawn as well. */
  heal(): void {
    this.#world.story.add('heal')
    this.#world.network.heal()
  }

  #node(id: NodeId): SimulatedNode {
    const node = this.#world.cluster.nodes.find((candidate) => candidate.id === id)
    if (node !== undefined) return node
    const range = this.brokers === 1 ? '1 is the only one' : `they are 1 to ${this.brokers}`
    throw new VltavaError('INVALID_ARGUMENT', `There is no broker ${String(id)}; ${range}.`)
  }

  #nameOf(party: NodeId | string): string {
    if (typeof party === 'number') return this.#node(party).name
    const names = [SCENARIO, ...this.#processes()]
    if (names.includes(party)) return party
    const detail = `There is no party "${party}"; there are the ids of the brokers, and ${names.join(', ')}.`
    throw new VltavaError('INVALID_ARGUMENT', detail)
  }
}
