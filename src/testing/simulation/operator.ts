// An operator who changes roles and places of replicas, settings of topics and the controllers that vote, while the cluster is
// under load and faults.
import type { Random } from '../../base/random.ts'
import type { QuorumAdmin, QuorumDescription, QuorumMember } from '../../client/quorum-admin.ts'
import { toVltavaError } from '../../model/errors.ts'
import type { NodeId } from '../../model/ids.ts'
import { between, chance, exponential, oneOf, shuffled } from './draw.ts'
import type { Asker, KeptCopies, WantedMove } from './kept-copies.ts'
import type { SimulatedClient } from './simulated-cluster.ts'
import type { SimulationPlan } from './simulation-plan.ts'

/** Of one request. */
export const TIMEOUT_MS = 5_000
/** Operators are slower than clients. */
const PAUSE_THINKS = 20

export interface OperatorOptions {
  readonly plan: SimulationPlan
  readonly by: SimulatedClient
  readonly random: Random
  readonly isStopping: () => boolean
  readonly onTrace: (line: string) => void
  readonly onMark: (name: string) => void
}

/** An operator who takes copies away and has to know of those that are spoilt. */
export interface CopiesOperatorOptions extends OperatorOptions {
  readonly copies: Pick<KeptCopies, 'ask' | 'answered'>
}

/**
 * Makes observers of voters and the other way round; what the cluster refuses is as good as what it takes. A voter whose copy is
 * needed, while another is spoilt, is not made an observer.
 */
export async function changeRoles(options: CopiesOperatorOptions): Promise<void> {
  const { plan, random, onMark, onTrace, copies } = options
  const { admin } = options.by.client
  await repeat(options, 'role', async () => {
    const { name: topic, partitions } = oneOf(random, plan.topics)
    const target = { topic, partition: random.below(partitions), timeoutMs: TIMEOUT_MS }
    const broker = 1 + random.below(plan.nodes)
    if (chance(random, 60)) await admin.promoteReplica({ ...target, broker })
    else {
      const voters = { ...target, replicas: nodesOf(plan).filter((node) => node !== broker) }
      if (!copies.ask(voters, 'roles')) {
        onTrace(`operator role: ${topic}/${target.partition} keeps its voters while another copy is spoilt`)
        return
      }
      await untilKnown(admin.demoteReplica({ ...target, broker }), () => copies.answered(voters, 'roles'))
    }
    onMark('role changed')
  })
}

/** Tells when the request has been carried out, or surely not; one with an unknown outcome may still be. */
async function untilKnown(request: Promise<void>, known: () => void): Promise<void> {
  try {
    await request
  } catch (thrown) {
    if (toVltavaError(thrown).definite) known()
    throw thrown
  }
  known()
}

/** The ids of all nodes. */
export function nodesOf({ nodes }: SimulationPlan): readonly NodeId[] {
  return Array.from({ length: nodes }, (_, i) => i + 1)
}

/** Lets topics count what is written, and what is fsynced again. */
export async function changeFlush(options: OperatorOptions): Promise<void> {
  const { plan, random, onMark } = options
  const { admin } = options.by.client
  await repeat(options, 'flush', async () => {
    const { name: topic } = oneOf(random, plan.topics)
    const value = oneOf(random, ['1', '1', '2', '50', '1000000'])
    await admin.alterConfigs({ topic, set: { 'flush.messages': value }, timeoutMs: TIMEOUT_MS })
    onMark('flush.messages changed')
  })
}

/**
 * Moves replicas to any brokers, dead ones as well, and goes back on it now and then. What would take away the last copy that is
 * whole is not asked for: whoever wants one copy only and gets the spoilt one has lost records, whatever the cluster does.
 */
export async function moveReplicas(options: CopiesOperatorOptions): Promise<void> {
  const { plan, random, onMark } = options
  const { admin } = options.by.client
  const change = (move: WantedMove): Promise<void> => {
    const mark = move.replicas === null ? 'move cancelled' : 'replicas moved'
    return askForMove(options, move, { what: 'move', asker: 'moves', mark })
  }
  await repeat(options, 'move', async () => {
    const ongoing = await admin.listReassignments({ timeoutMs: TIMEOUT_MS })
    if (ongoing.length > 0 && chance(random, 30)) {
      onMark('move under way')
      const { topic, partition } = oneOf(random, ongoing)
      await change({ topic, partition, replicas: null })
      return
    }
    const { name: topic, partitions, replicationFactor, observers = 0 } = oneOf(random, plan.topics)
    const size = chance(random, 70) ? replicationFactor + observers : between(random, 1, plan.nodes)
    const replicas = shuffled(random, nodesOf(plan)).slice(0, size)
    await change({ topic, partition: random.below(partitions), replicas })
  })
}

/**
 * Asks for one move, unless it would take away the last copy that is whole.
 * @param as `what`: whose trace it is; `mark`: what is counted when the move is taken.
 */
export async function askForMove(
  { copies, onTrace, onMark, by }: CopiesOperatorOptions,
  move: WantedMove,
  { what, asker, mark }: { readonly what: string; readonly asker: Asker; readonly mark: string },
): Promise<void> {
  if (!copies.ask(move, asker)) {
    onTrace(`operator ${what}: ${move.topic}/${move.partition} keeps its copies while another is spoilt`)
    return
  }
  const [answer] = await by.client.admin.reassignPartitions([move], { timeoutMs: TIMEOUT_MS })
  copies.answered(move, asker)
  if (answer?.error != null) onTrace(`operator ${what}: ${answer.error.code}`)
  else onMark(mark)
}

/**
 * Moves the controller and takes and gives votes. A voter that lost its disk is replaced; where that can happen no other vote is
 * taken, since the voter beside it could be lost next.
 */
export async function changeVoters(options: OperatorOptions): Promise<void> {
  const { plan, random, onMark } = options
  const { quorum } = options.by.client.admin
  await repeat(options, 'quorum', async () => {
    const description = await quorum.describe({ timeoutMs: TIMEOUT_MS })
    const voters = description.members.filter(({ isVoter }) => isVoter)
    const lost = voters.find((voter) => isReplacedDisk(voter, description))
    const voteless = description.members.find(
      ({ nodeId, isVoter }) => !isVoter && !voters.some((voter) => voter.nodeId === nodeId),
    )
    if (lost !== undefined) {
      await replace(quorum, lost)
      onMark('voter replaced')
    } else if (voteless !== undefined && chance(random, 70)) {
      await quorum.addVoter({ nodeId: voteless.nodeId, timeoutMs: TIMEOUT_MS })
      onMark('voter added')
    } else if (voters.length === 1 || plan.faults.includes('wipe') || chance(random, 50)) {
      await quorum.transferController({ nodeId: oneOf(random, voters).nodeId, timeoutMs: TIMEOUT_MS })
      onMark('controller moved')
    } else {
      await quorum.removeVoter({ nodeId: oneOf(random, voters).nodeId, timeoutMs: TIMEOUT_MS })
      onMark('voter removed')
    }
  })
}

/** Whether another disk answers for the node. Without that it may just be down. */
function isReplacedDisk({ nodeId, silentMs }: QuorumMember, { members }: QuorumDescription): boolean {
  return silentMs === null && members.some((member) => member.nodeId === nodeId && !member.isVoter)
}

async function replace(quorum: QuorumAdmin, { nodeId, directoryId }: QuorumMember): Promise<void> {
  await quorum.removeVoter({ nodeId, directoryId, timeoutMs: TIMEOUT_MS })
  await quorum.addVoter({ nodeId, timeoutMs: TIMEOUT_MS })
}

/** Does it again and again, with pauses, until the operator is to stop. What goes wrong stands in the trace. */
export async function repeat(
  options: OperatorOptions,
  what: string,
  act: () => Promise<void>,
): Promise<void> {
  const { plan, by, random, isStopping, onTrace } = options
  while (!isStopping()) {
    try {
      await act()
    } catch (thrown) {
      onTrace(`operator ${what}: ${toVltavaError(thrown).code}`)
    }
    await sleep(by.clock, PAUSE_THINKS * plan.thinkMs * exponential(random))
  }
}

export function sleep(clock: SimulatedClient['clock'], ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve))
}
