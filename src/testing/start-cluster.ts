import { type Log, silentLog } from '../base/log.ts'
import { isLog } from '../client/client-options.ts'
import { choiceOption, customOption, type Given, integerOption, resolveOptions } from '../client/options.ts'
import { TestCluster } from './test-cluster.ts'
import { checkTestSettings, settingsOption, type TestSettings } from './test-settings.ts'

/**
 * What makes a cluster on one event loop form, notice a death and elect within a few hundred milliseconds. The session stays
 * long, because it counts only where nobody says that a link has ended: a broker whose controller is cut off needs 3 s to
 * find the next one (2 s for the heartbeat that is not answered, 1 s to ask around), and is not to be fenced meanwhile.
 */
const FAST_SETTINGS: TestSettings = {
  'broker.heartbeat.interval.ms': 100,
  'broker.session.timeout.ms': 4_000,
  'broker.disconnect.grace.ms': 50,
  'controller.quorum.election.timeout.ms': 150,
  'controller.quorum.heartbeat.interval.ms': 30,
  'controlled.shutdown.timeout.ms': 1_000,
}

const START_CLUSTER_OPTIONS = {
  /** How many nodes, each of which is broker and controller. 1 to 9, default 3. */
  brokers: integerOption({ min: 1, max: 9, fallback: 3 }),
  /**
   * Whether the nodes listen on real ports of the loopback address, each on a free one, for clients outside of the test
   * as well. Default false: a network in memory.
   */
  sockets: customOption<boolean>({
    fallback: false,
    allowed: 'true or false',
    check: (value) => typeof value === 'boolean',
  }),
  /**
   * Where the nodes store: `'memory'`, or `'directory'` for a temporary one that is taken away in the end. Default
   * `'memory'`, the faster one, which alone can lose its power.
   */
  storage: choiceOption(['memory', 'directory'], 'memory'),
  /** Where random numbers of nodes and clients come from, 0 to 2^32-1, or null for other ones each time. Default null. */
  seed: customOption<number | null>({
    fallback: null,
    allowed: 'an integer from 0 to 4294967295, or null',
    check: (value) =>
      value === null || (Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32),
  }),
  /** Where nodes report what they do, as structured events. Default: nowhere. */
  log: customOption<Log>({
    fallback: silentLog,
    allowed: 'an object with debug, info, warn, error and child',
    check: isLog,
  }),
  /** Settings of every node, over those for quick failover that a test cluster has by itself. Default: none. */
  settings: settingsOption,
} as const

/** Every option may be left out. */
export type StartClusterOptions = Given<typeof START_CLUSTER_OPTIONS>

/**
 * Starts a cluster of real nodes inside this process; resolves when all of them serve, which takes less than half a
 * second. Stop it with `stop()`, or declare it with `await using`.
 * @throws VltavaError INVALID_ARGUMENT that names the option or setting, the value and what is allowed; INVALID_CONFIG for
 *   the value of a setting; REQUEST_TIMED_OUT when the nodes do not serve within 30 s.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  const parts = resolveOptions(START_CLUSTER_OPTIONS, options, 'startCluster')
  const settings = checkTestSettings('startCluster', { given: parts.settings, defaults: FAST_SETTINGS })
  return await TestCluster.start({ ...parts, settings })
}
