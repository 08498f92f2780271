// The admin calls about brokers.
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId } from '../model/ids.ts'
import { cordonBroker, unregisterBroker } from '../protocol/broker-removal.ts'
import { clusterMetadata } from '../protocol/cluster-metadata.ts'
import { alterConfigs, describeConfigs } from '../protocol/configs.ts'
import { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import { resolveTimeoutMs, type TimeoutOptions } from './admin-options.ts'
import type { ClientContext } from './client-context.ts'
import {
  type AlterBrokerConfigsOptions,
  brokerNameOf,
  type ConfigDescription,
  describeConfigsOf,
  resolveAlterBrokerConfigs,
} from './config-calls.ts'
import { askController, changeOnce } from './controller-requests.ts'
import { type DrainPlan, drainPlan } from './drain-plan.ts'
import { showValue } from './options.ts'
import { type ReassignmentStarted, started } from './reassign-calls.ts'

/** How long a change may take to reach the brokers before the call returns without them. */
const APPLIED_WAIT_MS = 5_000
const MOVES_DEFAULT = 100
/** As many as a request can hold. */
const MOVES_MAX = 10_000

export interface DrainOptions extends TimeoutOptions {
  /** Which broker is to host no replicas any more. */
  readonly broker: NodeId
  /**
   * How many replicas may move away from it at once, those under way counted. 0 to 10,000; 0: only the plan is wanted. Default
   * 100: each move copies a whole partition over the network.
   */
  readonly movesMax?: number
}

export interface BrokerOptions extends TimeoutOptions {
  /** Which broker is meant, by its id. */
  readonly broker: NodeId
}

export interface Drained extends DrainPlan {
  /** What became of the moves of the plan that were begun, its first ones. */
  readonly results: readonly ReassignmentStarted[]
}

export interface BrokerListing {
  readonly id: NodeId
  readonly url: string
  /** Whether the controller does not hear of it: it leads nothing and is in no in-sync set. */
  readonly isFenced: boolean
  readonly isController: boolean
  /** Its setting broker.rack; null: none. */
  readonly rack: string | null
  /** Whether an operator keeps new replicas from it. */
  readonly isCordoned: boolean
  /** Replicas that it hosts, and those of them that lead. */
  readonly replicas: number
  readonly leaders: number
}

/** Calls about brokers. Made by the client: `client.admin.brokers`. */
export class BrokerAdmin {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** All brokers that have registered, by id, with how much each of them does. */
  async list(options: TimeoutOptions = {}): Promise<readonly BrokerListing[]> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'brokers.list'))
    const { brokers, topics } = await calls.metadata(null, deadlineMs)
    const partitions = topics.flatMap((topic) => topic.partitions)
    return brokers
      .map(({ brokerId: id, url, fenced: isFenced, isController, rack, cordoned: isCordoned }) => ({
        ...{ id, url, isFenced, isController, rack, isCordoned },
        replicas: partitions.filter(({ replicas }) => replicas.includes(id)).length,
        leaders: partitions.filter(({ leader }) => leader === id).length,
      }))
      .toSorted((a, b) => a.id - b.id)
  }

  /**
   * Starts to move all replicas of a broker to others, so that it can be taken away for good. Each goes to the broker with the
   * fewest, of those that leave the partition in the most racks where all brokers have one; new replicas are voters, also in place of
   * an observer. The broker is cordoned first, so that nothing new comes to it, and stays so (see `uncordon`). It returns when moves
   * have begun: called again, it goes on with what is left. The broker hosts nothing once the plan has no moves, nothing under way and
   * nothing stuck; `unregister` takes it out of the cluster once it has stopped.
   * @throws VltavaError BROKER_ID_NOT_REGISTERED, INVALID_ARGUMENT
   */
  async drain(options: DrainOptions): Promise<Drained> {
    const { broker, movesMax = MOVES_DEFAULT, ...rest } = options
    checkNumber('brokers.drain: the broker', broker, Number.MAX_SAFE_INTEGER)
    checkNumber('brokers.drain: movesMax', movesMax, MOVES_MAX)
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(rest, 'brokers.drain'))
    if (movesMax > 0) await this.#setCordoned({ brokerId: broker, cordoned: true }, deadlineMs)
    const { partitions: ongoing } = await askController(calls, {
      api: listPartitionReassignments,
      request: {},
      deadlineMs,
    })
    const { brokers, topics } = await calls.metadata(null, deadlineMs)
    if (!brokers.some(({ brokerId }) => brokerId === broker)) throw unknownBroker(broker, brokers)
    const plan = drainPlan({ broker, brokers, topics, ongoing })
    const partitions = plan.moves.slice(0, Math.max(0, movesMax - plan.underWay))
    if (partitions.length === 0) return { ...plan, results: [] }
    const request = { partitions }
    const answer = await askController(calls, { api: alterPartitionReassignments, request, deadlineMs })
    return { ...plan, results: answer.partitions.map(started) }
  }

  /**
   * Keeps new replicas from a broker: new topics and partitions are placed on others, and no move adds it. What it hosts, and leads,
   * stays. Lasts also while it is away, until `uncordon`.
   * @throws VltavaError BROKER_ID_NOT_REGISTERED, INVALID_ARGUMENT
   */
  async cordon(options: BrokerOptions): Promise<void> {
    await this.#cordon('brokers.cordon', options, true)
  }

  /**
   * Takes `cordon` back, also that of a `drain`.
   * @throws VltavaError BROKER_ID_NOT_REGISTERED, INVALID_ARGUMENT
   */
  async uncordon(options: BrokerOptions): Promise<void> {
    await this.#cordon('brokers.uncordon', options, false)
  }

  /**
   * Takes a broker that has stopped, and hosts nothing any more, out of the cluster for good, with the settings that were changed for
   * it. If it is started again, it comes back as a new broker. A vote in the controller quorum stays: `quorum.removeVoter` takes it.
   * @throws VltavaError BROKER_ID_NOT_REGISTERED (not `definite` where an attempt of this call may have done it); INVALID_REQUEST
   *   while it runs or hosts replicas; INVALID_ARGUMENT
   */
  async unregister(options: BrokerOptions): Promise<void> {
    const { broker, ...rest } = options
    checkNumber('brokers.unregister: the broker', broker, Number.MAX_SAFE_INTEGER)
    const { calls } = this.#context
    await changeOnce(calls, {
      api: unregisterBroker,
      request: { brokerId: broker },
      deadlineMs: calls.deadlineMs(resolveTimeoutMs(rest, 'brokers.unregister')),
      doneBefore: 'BROKER_ID_NOT_REGISTERED',
    })
  }

  /**
   * Changes settings of a broker, or of all brokers that have no value of their own, while they run; all of those named or, when it
   * throws, none. Waits, up to 5 s, until every broker that answers has applied the change.
   * @throws VltavaError INVALID_CONFIG also for a setting that needs a restart, INVALID_REQUEST for a broker that is not known,
   *   INVALID_ARGUMENT
   */
  async alterConfigs(options: AlterBrokerConfigsOptions): Promise<void> {
    const { timeoutMs, ...request } = resolveAlterBrokerConfigs(options)
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(timeoutMs)
    const { metadataOffset } = await askController(calls, { api: alterConfigs, request, deadlineMs })
    if (!request.validateOnly) await this.#whenApplied(metadataOffset, deadlineMs)
  }

  /**
   * Every setting of a broker, asked of itself, sorted by name; with null, those that can be changed for all brokers at once. One
   * that is starting is asked again until it has started.
   * @throws VltavaError BROKER_ID_NOT_REGISTERED, INVALID_ARGUMENT, CONNECTION_FAILED where the broker is not reached
   */
  async describeConfigs(
    broker: NodeId | null,
    options: TimeoutOptions = {},
  ): Promise<readonly ConfigDescription[]> {
    const name = brokerNameOf('brokers.describeConfigs', broker)
    const { calls, connections } = this.#context
    const timeoutMs = resolveTimeoutMs(options, 'brokers.describeConfigs')
    const deadlineMs = calls.deadlineMs(timeoutMs)
    const body = { resource: 'broker', name } as const
    if (broker === null) return describeConfigsOf(calls, body, deadlineMs)
    const { brokers } = await calls.metadata([], deadlineMs)
    const found = brokers.find(({ brokerId }) => brokerId === broker)
    if (found === undefined) throw unknownBroker(broker, brokers)
    return calls.whenStarted(deadlineMs, async (leftMs) => {
      const connection = await connections.dial(found)
      return (await connection.request(describeConfigs, body, { timeoutMs: leftMs })).body.configs
    })
  }

  async #cordon(call: string, { broker, ...rest }: BrokerOptions, cordoned: boolean): Promise<void> {
    checkNumber(`${call}: the broker`, broker, Number.MAX_SAFE_INTEGER)
    const deadlineMs = this.#context.calls.deadlineMs(resolveTimeoutMs(rest, call))
    await this.#setCordoned({ brokerId: broker, cordoned }, deadlineMs)
  }

  async #setCordoned(
    request: { readonly brokerId: NodeId; readonly cordoned: boolean },
    deadlineMs: number,
  ): Promise<void> {
    await askController(this.#context.calls, { api: cordonBroker, request, deadlineMs })
  }

  /** The change is made, so nothing that goes wrong from here on is an error of the call. */
  async #whenApplied(metadataOffset: MetadataOffset, untilMs: number): Promise<void> {
    const { calls, connections } = this.#context
    const deadlineMs = Math.min(untilMs, calls.deadlineMs(APPLIED_WAIT_MS))
    await calls.poll(deadlineMs, async () => {
      const { brokers } = await calls.metadata([], deadlineMs)
      const alive = brokers.filter(({ fenced }) => !fenced)
      const hasApplied = async (broker: (typeof alive)[number], timeoutMs: number): Promise<boolean> => {
        const connection = await connections.dial(broker)
        const { body } = await connection.request(clusterMetadata, { topics: [] }, { timeoutMs })
        return body.metadataOffset >= metadataOffset
      }
      await Promise.all(
        alive.map((broker) => calls.poll(deadlineMs, (timeoutMs) => hasApplied(broker, timeoutMs))),
      )
      return true
    })
  }
}

function unknownBroker(broker: NodeId, brokers: readonly { readonly brokerId: NodeId }[]): VltavaError {
  const ids = brokers.map(({ brokerId }) => brokerId)
  const known = ids.toSorted((a, b) => a - b).join(', ')
  return new VltavaError(
    'BROKER_ID_NOT_REGISTERED',
    `Broker ${broker} is not known. Known brokers: [${known}].`,
  )
}

function checkNumber(what: string, value: unknown, max: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max) return
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `${what} must be a whole number from 0${max === MOVES_MAX ? ` to ${max}` : ''}, got ${showValue(value)}.`,
  )
}
