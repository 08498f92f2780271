// Where the replicas of a broker go when it is to host none.
import type { NodeId, PartitionIndex } from '../model/ids.ts'
import type { OngoingReassignment, WantedReplicas } from './reassign-calls.ts'

/** What the plan is made of. */
export interface DrainInput {
  /** The broker that is to host nothing. */
  readonly broker: NodeId
  readonly brokers: readonly {
    readonly brokerId: NodeId
    readonly fenced: boolean
    /** null: none. Racks count where every broker has one that may get replicas. */
    readonly rack: string | null
    /** It gets no new replicas. */
    readonly cordoned: boolean
  }[]
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly {
      readonly partition: PartitionIndex
      readonly replicas: readonly NodeId[]
    }[]
  }[]
  readonly ongoing: readonly OngoingReassignment[]
}

/** A partition that stays where it is. */
export interface StuckPartition {
  readonly topic: string
  readonly partition: PartitionIndex
  /** Why, and what to do. */
  readonly reason: string
}

export interface DrainPlan {
  /** Each replica of the broker goes to another one, in the same place of the list. */
  readonly moves: readonly WantedReplicas[]
  /** Partitions that move away from the broker already. */
  readonly underWay: number
  readonly stuck: readonly StuckPartition[]
}

/**
 * Each replica goes to a broker that is alive, not cordoned, and has none of the partition. Where all of these have racks, only those
 * in the rack with the fewest other replicas of the partition come into question, so that it stays in as many racks as it was in if
 * that can be. Of these, it goes to the one with the fewest replicas, those of the plan counted; of several, to the one with the
 * lowest id.
 */
export function drainPlan(input: DrainInput): DrainPlan {
  const { broker, topics } = input
  const load = loadOf(input)
  const rackOf = racksOf(input)
  const ongoing = new Map(input.ongoing.map((move) => [nameOf(move.topic, move.partition), move]))
  const moves: WantedReplicas[] = []
  const stuck: StuckPartition[] = []
  let underWay = 0
  for (const { name: topic, partitions } of topics) {
    for (const { partition, replicas } of partitions) {
      if (!replicas.includes(broker)) continue
      const move = ongoing.get(nameOf(topic, partition))
      if (move !== undefined && !move.target.includes(broker)) {
        underWay++
        continue
      }
      const to = move === undefined ? bestOf(load, { broker, replicas, rackOf }) : null
      if (to === null) {
        stuck.push({ topic, partition, reason: reasonOf(move, replicas) })
        continue
      }
      load.set(to, load.get(to)! + 1)
      moves.push({
        topic,
        partition,
        replicas: replicas.map((brokerId) => (brokerId === broker ? to : brokerId)),
      })
    }
  }
  return { moves, underWay, stuck }
}

function nameOf(topic: string, partition: PartitionIndex): string {
  return `${topic}/${partition}`
}

/** How many replicas each broker hosts that may get more. */
function loadOf({ broker, brokers, topics }: DrainInput): Map<NodeId, number> {
  const open = brokers.filter(({ brokerId, fenced, cordoned }) => !fenced && !cordoned && brokerId !== broker)
  const load = new Map(open.map(({ brokerId }) => [brokerId, 0]))
  for (const replica of topics.flatMap(({ partitions }) => partitions.flatMap(({ replicas }) => replicas))) {
    const known = load.get(replica)
    if (known !== undefined) load.set(replica, known + 1)
  }
  return load
}

/** The rack of each broker; none where they do not count. */
function racksOf({ broker, brokers }: DrainInput): ReadonlyMap<NodeId, string | null> {
  const isKnown = brokers.every(
    ({ brokerId, fenced, cordoned, rack }) => fenced || cordoned || brokerId === broker || rack !== null,
  )
  return new Map(isKnown ? brokers.map(({ brokerId, rack }) => [brokerId, rack]) : [])
}

function bestOf(
  load: ReadonlyMap<NodeId, number>,
  of: {
    readonly broker: NodeId
    readonly replicas: readonly NodeId[]
    readonly rackOf: ReadonlyMap<NodeId, string | null>
  },
): NodeId | null {
  const { broker, replicas, rackOf } = of
  const racks = replicas.filter((replica) => replica !== broker).map((replica) => rackOf.get(replica))
  const free = [...load]
    .filter(([brokerId]) => !replicas.includes(brokerId))
    .map(([brokerId, replicasCount]) => {
      const rack = rackOf.get(brokerId)
      return { brokerId, replicasCount, inItsRack: racks.filter((other) => other === rack).length }
    })
  const [first] = free.toSorted(
    (a, b) => a.inItsRack - b.inItsRack || a.replicasCount - b.replicasCount || a.brokerId - b.brokerId,
  )
  return first?.brokerId ?? null
}

function reasonOf(move: OngoingReassignment | undefined, replicas: readonly NodeId[]): string {
  return move === undefined
    ? `no other broker is alive and not cordoned that has none of its ${replicas.length} replicas; start one, or ask for fewer replicas`
    : `it moves to [${move.target.join(', ')}] already; wait for the end or cancel it`
}
