// Where the replicas of a new topic go. Kafka's striping: leaders go round the brokers from a random start; the
// followers of a partition lie at a distance from the leader that grows after each full round, so that the load of a
// broker that fails spreads over all others instead of falling on its neighbour. With racks the brokers stand in the
// round so that those of one rack are apart, and a follower passes over brokers of racks that have more replicas of the
// partition than others: what fails with one rack is then as little as can be. Where racks have different numbers of
// brokers, the one that has got the fewest replicas is taken of those that are left.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import type { NodeId } from '../model/ids.ts'
import type { BrokerImage } from './cluster-image.ts'

/** A broker that may take replicas. */
export type PlacementBroker = Pick<BrokerImage, 'brokerId' | 'rack'>

export interface Placement {
  /** The brokers that may take replicas. At least `replicationFactor`, each once. Their racks count where each has one. */
  readonly brokers: readonly PlacementBroker[]
  readonly partitions: number
  readonly replicationFactor: number
  /** Where it begins; null or without it: anywhere. */
  readonly start?: PlacementStart | null
}

export interface PlacementStart {
  /** The place of the first leader in the round of the brokers. */
  readonly first: number
  /** How far from it, less one, its first follower lies. */
  readonly distance: number
}

/** The brokers in the order in which leaders go round them. */
interface Round {
  readonly brokers: readonly NodeId[]
  /** The rack of each, numbered from 0; 0 for all where not every broker has one. */
  readonly racks: readonly number[]
  /** Brokers of each rack. */
  readonly rackSizes: readonly number[]
}

/**
 * The start that gives the first partition these replicas, so that further partitions go on with the same placement; null where the
 * brokers have changed so that there is none.
 */
export function startAfter(
  replicas: readonly NodeId[],
  brokers: readonly PlacementBroker[],
): PlacementStart | null {
  return startIn(roundOf(brokers), replicas)
}

/**
 * The replica list of each partition; its first replica is the preferred leader. Where every broker has a rack, the first n replicas
 * of a partition are in min(n, racks) of them, and no rack has two more than another one that has a broker left.
 */
export function placeReplicas(placement: Placement, random: Random): readonly (readonly NodeId[])[] {
  const { partitions, replicationFactor } = placement
  const round = roundOf(placement.brokers)
  const size = round.brokers.length
  assert(
    replicationFactor >= 1 && replicationFactor <= size,
    `${replicationFactor} replicas do not fit on ${size} brokers`,
  )
  const drawn = {
    first: placement.start?.first ?? random.below(size),
    distance: placement.start?.distance ?? random.below(size),
  }
  const of = { round, replicationFactor, loads: null }
  // A distance that the first follower passed over cannot be told from its replicas, and would get lost for startAfter.
  const { first, distance } = startIn(round, namesOf(round, placesFrom(drawn, of)))!
  // Around even racks each place is passed over as often as any other one; else those next to a gap would get more than others.
  const isEven = round.rackSizes.every((brokers) => brokers === round.rackSizes[0])
  const loads = isEven ? null : round.brokers.map(() => 0)
  return Array.from({ length: partitions }, (_, partition) => {
    const turns = Math.floor(partition / size)
    const start = { first: (first + partition) % size, distance: distance + turns * round.rackSizes.length }
    const places = placesFrom(start, { ...of, loads })
    if (loads !== null) for (const at of places) loads[at]!++
    return namesOf(round, places)
  })
}

function namesOf({ brokers }: Round, places: readonly number[]): readonly NodeId[] {
  return places.map((at) => brokers[at]!)
}

/**
 * By id; with racks one of each rack after the other, the racks by their lowest id. Where each broker has a rack of its own
 * that is the same.
 */
function roundOf(brokers: readonly PlacementBroker[]): Round {
  const sorted = [...brokers].sort((a, b) => a.brokerId - b.brokerId)
  const hasRacks = sorted.every(({ rack }) => rack !== null)
  const byRack = new Map<string | null, NodeId[]>()
  for (const { brokerId, rack } of sorted) {
    const name = hasRacks ? rack : null
    const members = byRack.get(name)
    if (members === undefined) byRack.set(name, [brokerId])
    else members.push(brokerId)
  }
  const inTurns = [...byRack.values()].flatMap((members, rack) =>
    members.map((brokerId, turn) => ({ brokerId, rack, turn })),
  )
  inTurns.sort((a, b) => a.turn - b.turn || a.rack - b.rack)
  return {
    brokers: inTurns.map(({ brokerId }) => brokerId),
    racks: inTurns.map(({ rack }) => rack),
    rackSizes: [...byRack.values()].map(({ length }) => length),
  }
}

function startIn({ brokers }: Round, replicas: readonly NodeId[]): PlacementStart | null {
  const [first, second] = replicas.map((brokerId) => brokers.indexOf(brokerId))
  if (first === undefined || first === -1 || second === -1) return null
  const distance = second === undefined ? 0 : (second - first + brokers.length) % brokers.length
  return { first, distance: Math.max(0, distance - 1) }
}

/** The places of the replicas of the partition whose leader stands at `first`. */
function placesFrom(
  { first, distance }: PlacementStart,
  of: { readonly round: Round; readonly replicationFactor: number; readonly loads: readonly number[] | null },
): readonly number[] {
  const { racks, rackSizes } = of.round
  const used = rackSizes.map(() => 0)
  const places: number[] = []
  const isTaken = new Uint8Array(racks.length)
  const take = (at: number): void => {
    places.push(at)
    isTaken[at] = 1
    used[racks[at]!]!++
  }
  take(first)
  let away = distance % Math.max(1, racks.length - 1)
  while (places.length < of.replicationFactor) {
    const isRackLeft = places.length < rackSizes.length
    const fewest = isRackLeft ? 0 : Math.min(...used.filter((replicas, rack) => replicas < rackSizes[rack]!))
    away = nextBehind(first, { away, isTaken, racks, used, fewest, loads: of.loads })
    take((first + 1 + away) % racks.length)
    away++
  }
  return places
}

interface Search {
  /** Where it begins: at this distance from the leader, less one. */
  readonly away: number
  readonly isTaken: Uint8Array
  readonly racks: readonly number[]
  /** How many replicas each rack has, and the number that a rack must have to get one more. */
  readonly used: readonly number[]
  readonly fewest: number
  readonly loads: readonly number[] | null
}

/** The distance, less one, to the next free place behind the leader; with loads to the one that has the least, of those all around. */
function nextBehind(first: number, { away: from, isTaken, racks, used, fewest, loads }: Search): number {
  const size = racks.length
  let best = -1
  let least = Number.POSITIVE_INFINITY
  for (let step = 0, away = from; step < size - 1; step++, away++) {
    if (away >= size - 1) away = 0
    const at = first + 1 + away < size ? first + 1 + away : first + 1 + away - size
    if (isTaken[at] !== 0 || used[racks[at]!] !== fewest) continue
    if (loads === null) return away
    if (loads[at]! >= least) continue
    best = away
    least = loads[at]!
  }
  assert(best !== -1, 'no broker is left for a replica')
  return best
}
