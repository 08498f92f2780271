// Where the replicas of a new topic go. Kafka's striping: leaders go round the brokers from a random start; the
// followers of a partition lie at a distance from the leader that grows by one after each full round, so that the
// load of a broker that fails spreads over all others instead of falling on its neighbour.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import type { NodeId } from '../model/ids.ts'

export interface Placement {
  /** The brokers that may take replicas. At least `replicationFactor`, each once. */
  readonly brokers: readonly NodeId[]
  readonly partitions: number
  readonly replicationFactor: number
  /** Where it begins; null or without it: anywhere. */
  readonly start?: PlacementStart | null
}

export interface PlacementStart {
  /** The place of the first leader among the brokers, sorted by id. */
  readonly first: number
  /** How far from it, less one, its first follower lies. */
  readonly distance: number
}

/**
 * The start that gives the first partition these replicas, so that further partitions go on with the same placement; null where the
 * brokers have changed so that there is none.
 */
export function startAfter(replicas: readonly NodeId[], brokers: readonly NodeId[]): PlacementStart | null {
  const sorted = [...brokers].sort((a, b) => a - b)
  const [first, second] = replicas.map((brokerId) => sorted.indexOf(brokerId))
  if (first === undefined || first === -1 || second === -1) return null
  const distance = second === undefined ? 0 : (second - first + sorted.length) % sorted.length
  return { first, distance: Math.max(0, distance - 1) }
}

/** The replica list of each partition; its first replica is the preferred leader. */
export function placeReplicas(placement: Placement, random: Random): readonly (readonly NodeId[])[] {
  const { partitions, replicationFactor } = placement
  const brokers = [...placement.brokers].sort((a, b) => a - b)
  assert(
    replicationFactor >= 1 && replicationFactor <= brokers.length,
    `${replicationFactor} replicas do not fit on ${brokers.length} brokers`,
  )
  const start = placement.start?.first ?? random.below(brokers.length)
  const distanceStart = placement.start?.distance ?? random.below(brokers.length)
  const placed: NodeId[][] = []
  for (let partition = 0; partition < partitions; partition++) {
    const first = (start + partition) % brokers.length
    const round = distanceStart + Math.floor(partition / brokers.length)
    const replicas = [brokers[first]!]
    for (let follower = 0; follower < replicationFactor - 1; follower++) {
      const distance = 1 + ((round + follower) % (brokers.length - 1))
      replicas.push(brokers[(first + distance) % brokers.length]!)
    }
    placed.push(replicas)
  }
  return placed
}
