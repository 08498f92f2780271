// An operator who changes what brokers do, and how much moves may copy, while the cluster is under load and faults.
import { toVltavaError } from '../../model/errors.ts'
import { chance, oneOf } from './draw.ts'
import { nodesOf, type OperatorOptions, repeat, sleep, TIMEOUT_MS } from './operator.ts'

/** Values that a run can feel. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'leader.replication.throttled.rate': ['1024', '20000', '500000'],
  'follower.replication.throttled.rate': ['1024', '20000', '500000'],
  'replica.lag.time.max.ms': ['500', '2000', '10000'],
  'replica.fetch.wait.max.ms': ['20', '100', '500'],
  'replica.fetch.max.bytes': ['1024', '16384', '1000000'],
  'replica.fetch.response.max.bytes': ['1024', '16384', '1000000'],
  'controlled.shutdown.timeout.ms': ['0', '100', '2000'],
  'leader.imbalance.check.interval.seconds': ['0', '1', '5'],
}
const THROTTLES = ['leader.replication.throttled.rate', 'follower.replication.throttled.rate'] as const
const LOOK_EVERY_MS = 500

/**
 * Sets them for one broker or for all, and takes them away again. In the end nothing is throttled any more: a limit below what is
 * produced lets no move end.
 */
export async function changeSettings(options: OperatorOptions): Promise<void> {
  const { plan, random, by, onMark } = options
  const { brokers } = by.client.admin
  await repeat(options, 'settings', async () => {
    const broker = chance(random, 50) ? null : oneOf(random, nodesOf(plan))
    const name = oneOf(random, Object.keys(VALUES))
    const change = chance(random, 30) ? { delete: [name] } : { set: { [name]: oneOf(random, VALUES[name]!) } }
    await brokers.alterConfigs({ broker, ...change, timeoutMs: TIMEOUT_MS })
    onMark('broker setting changed')
  })
  for (const broker of [null, ...nodesOf(plan)]) await untilUnthrottled(options, broker)
}

async function untilUnthrottled(options: OperatorOptions, broker: number | null): Promise<void> {
  const { by, onTrace } = options
  for (;;) {
    try {
      await by.client.admin.brokers.alterConfigs({ broker, delete: THROTTLES, timeoutMs: TIMEOUT_MS })
      return
    } catch (thrown) {
      const { code } = toVltavaError(thrown)
      // An unregistered broker has no settings; started again, it begins without any.
      if (code === 'INVALID_REQUEST' || code === 'CLOSED') return
      onTrace(`operator settings: ${code}`)
    }
    await sleep(by.clock, LOOK_EVERY_MS)
  }
}
