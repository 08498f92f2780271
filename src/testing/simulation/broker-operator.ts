// An operator who takes brokers away, and lets them come back, while the cluster is under load and faults.
import { toVltavaError } from '../../model/errors.ts'
import type { NodeId } from '../../model/ids.ts'
import { between, chance, exponential, oneOf } from './draw.ts'
import { askForMove, type CopiesOperatorOptions, nodesOf, repeat, sleep, TIMEOUT_MS } from './operator.ts'
import type { SimulatedCluster } from './simulated-cluster.ts'

/** Virtual milliseconds that a stop, and the fencing after it, may take until the operator gives up. */
const STOP_BUDGET_MS = 8_000
const LOOK_EVERY_MS = 100
const MOVES_AT_ONCE_MAX = 4

export interface BrokerOperatorOptions extends CopiesOperatorOptions {
  readonly cluster: SimulatedCluster
}

/** Cordons brokers and takes that back, drains them, stops those that host nothing and unregisters them, and others as well. */
export async function removeBrokers(options: BrokerOperatorOptions): Promise<void> {
  const { plan, random, onMark } = options
  const { brokers } = options.by.client.admin
  await repeat(options, 'brokers', async () => {
    const broker = oneOf(random, nodesOf(plan))
    const request = { broker, timeoutMs: TIMEOUT_MS }
    const drawn = random.below(100)
    if (drawn < 15) {
      await brokers.cordon(request)
      onMark('broker cordoned')
    } else if (drawn < 40) {
      await brokers.uncordon(request)
      onMark('broker uncordoned')
    } else if (drawn < 60) {
      // Whatever it is about: what the cluster refuses is as good as what it takes. One that is away is nearest to being taken.
      const fenced = (await brokers.list({ timeoutMs: TIMEOUT_MS })).filter(({ isFenced }) => isFenced)
      await brokers.unregister({ ...request, broker: fenced.length > 0 ? oneOf(random, fenced).id : broker })
      onMark('broker unregistered')
    } else {
      await takeAway(options, broker)
    }
  })
}

/** As far as it gets: a part of the moves, or the end of a drain that has come so far. */
async function takeAway(options: BrokerOperatorOptions, broker: NodeId): Promise<void> {
  const { random, cluster, onMark, by, plan } = options
  const { brokers } = by.client.admin
  await brokers.cordon({ broker, timeoutMs: TIMEOUT_MS })
  const drain = await brokers.drain({ broker, movesMax: 0, timeoutMs: TIMEOUT_MS })
  for (const move of drain.moves.slice(0, between(random, 1, MOVES_AT_ONCE_MAX)))
    await askForMove(options, move, { what: 'brokers', asker: 'drains', mark: 'replica drained' })
  if (drain.moves.length > 0 || drain.underWay > 0 || drain.stuck.length > 0) return
  onMark('broker drained')
  const node = cluster.node(broker)
  if (chance(random, 70)) node.stop()
  else node.kill()
  try {
    await untilUnregistered(options, broker)
  } finally {
    await sleep(by.clock, plan.faultLastsMs * exponential(random))
    if (node.run === null) node.start()
  }
}

/** It takes its time until the controller has noticed that the broker is gone. */
async function untilUnregistered(options: BrokerOperatorOptions, broker: NodeId): Promise<void> {
  const { by, onMark } = options
  const untilMs = by.clock.monotonicMs() + STOP_BUDGET_MS
  for (;;) {
    try {
      await by.client.admin.brokers.unregister({ broker, timeoutMs: TIMEOUT_MS })
      onMark('broker unregistered')
      return
    } catch (thrown) {
      if (toVltavaError(thrown).code !== 'INVALID_REQUEST' || by.clock.monotonicMs() > untilMs) throw thrown
    }
    await sleep(by.clock, LOOK_EVERY_MS)
  }
}
