// An operator who changes roles of replicas and settings of topics while the cluster is under load and faults.
import type { Random } from '../../base/random.ts'
import { toVltavaError } from '../../model/errors.ts'
import { chance, exponential, oneOf } from './draw.ts'
import type { SimulatedClient } from './simulated-cluster.ts'
import type { SimulationPlan } from './simulation-plan.ts'

const TIMEOUT_MS = 5_000
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

/** Makes observers of voters and the other way round; what the cluster refuses is as good as what it takes. */
export async function changeRoles(options: OperatorOptions): Promise<void> {
  const { plan, random, onMark } = options
  const { admin } = options.by.client
  await repeat(options, 'role', async () => {
    const { name: topic, partitions } = oneOf(random, plan.topics)
    const target = { topic, partition: random.below(partitions), timeoutMs: TIMEOUT_MS }
    const broker = 1 + random.below(plan.nodes)
    if (chance(random, 60)) await admin.promoteReplica({ ...target, broker })
    else await admin.demoteReplica({ ...target, broker })
    onMark('role changed')
  })
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

async function repeat(options: OperatorOptions, what: string, act: () => Promise<void>): Promise<void> {
  const { plan, by, random, isStopping, onTrace } = options
  while (!isStopping()) {
    try {
      await act()
    } catch (thrown) {
      onTrace(`operator ${what}: ${toVltavaError(thrown).code}`)
    }
    const pauseMs = PAUSE_THINKS * plan.thinkMs * exponential(random)
    await new Promise<void>((resolve) => by.clock.setTimer(pauseMs, resolve))
  }
}
