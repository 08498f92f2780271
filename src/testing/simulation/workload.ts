// What the clients of a simulated cluster do: the very client, recorded.

import { type Log, type LogFields, silentLog } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { ReadFrom } from '../../client/read-source.ts'
import type { HistoryKey } from '../../history/history.ts'
import { historyKey, parseHistoryKey } from '../../history/history-key.ts'
import { HistoryRecorder } from '../../history/history-recorder.ts'
import { toVltavaError } from '../../model/errors.ts'
import type { Offset } from '../../model/ids.ts'
import { finalPhase } from '../recording/final-phase.ts'
import { RecordedConsumer } from '../recording/recorded-consumer.ts'
import { RecordedProducer } from '../recording/recorded-producer.ts'
import type { ValueCodec } from '../recording/value-codec.ts'
import { removeBrokers } from './broker-operator.ts'
import { between, chance, exponential, oneOf, shuffled } from './draw.ts'
import type { KeptCopies } from './kept-copies.ts'
import {
  changeFlush,
  changeRoles,
  changeVoters,
  moveReplicas,
  type OperatorOptions,
  sleep,
} from './operator.ts'
import { addPartitions } from './partition-operator.ts'
import type { RandomStreams } from './random-streams.ts'
import { changeSettings } from './settings-operator.ts'
import type { SimulatedClient, SimulatedCluster } from './simulated-cluster.ts'
import type { SimulationKernel } from './simulation-kernel.ts'
import type { SimulationPlan, TopicPlan } from './simulation-plan.ts'

/** Enough for many segments and leaderships; what comes beyond only costs time. */
const VALUES_MAX = 6_000
/** Mean pause of a client once all faults are over. */
const CALM_THINK_MS = 1_000
const ADMIN_TIMEOUT_MS = 5_000
const ADMIN_PAUSE_MS = 200

export interface WorkloadOptions {
  readonly kernel: SimulationKernel
  readonly streams: RandomStreams
  readonly cluster: SimulatedCluster
  readonly plan: SimulationPlan
  /** What moves of replicas must leave. */
  readonly copies: KeptCopies
  readonly onTrace: (line: string) => void
  readonly onMark: (name: string) => void
  /** A record was acknowledged at this offset. */
  readonly onAcknowledged: (key: HistoryKey, offset: number) => void
  /** A deletion was acknowledged; the log starts at this offset or behind it. */
  readonly onDeleted: (key: HistoryKey, offset: number) => void
  /** The largest log start that any replica of the key has had. */
  readonly logStartOf: (key: HistoryKey) => number
  /** The records up to this offset were read. */
  readonly onRead: (key: HistoryKey, offset: number) => void
}

/** What is known of a topic that the workload makes or deletes besides those of the plan. */
type ExtraTopic = 'there' | 'gone' | 'unknown'

export class Workload {
  readonly recorder = new HistoryRecorder()
  /** By name; what must and must not exist in the end (JEP-21). */
  readonly extraTopics = new Map<string, ExtraTopic>()
  /** By name; as many partitions as the topics of the plan must have in the end, at least. */
  readonly partitionCounts = new Map<string, number>()
  readonly #options: WorkloadOptions
  /** Grows where topics get more partitions. */
  readonly #keys: HistoryKey[]
  readonly #codec: ValueCodec
  readonly #running: Promise<void>[] = []
  #values = 0
  #isStopping = false
  #thinkMsMin = 0
  #isCalm = false

  constructor(options: WorkloadOptions) {
    this.#options = options
    const { topics, valuePadding } = options.plan
    this.#keys = topics.flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => historyKey(name, partition)),
    )
    this.#codec = paddedCodec(valuePadding)
  }

  /** Starts all clients; they go on until `stop`. */
  start(): void {
    const { plan, cluster } = this.#options
    const setUp = this.#setUp(cluster.client())
    this.#running.push(setUp)
    for (let i = 1; i <= plan.producers; i++)
      this.#running.push(setUp.then(() => this.#produce(i, cluster.client())))
    for (let i = 1; i <= plan.consumers; i++)
      this.#running.push(
        setUp.then(() => this.#consume(i, cluster.client({ options: { log: this.#clientLog() } }))),
      )
    if (plan.makesTopics) this.#running.push(setUp.then(() => this.#changeTopics(cluster.client())))
    if (plan.deletesRecords) this.#running.push(setUp.then(() => this.#deleteRecords(cluster.client())))
    const { copies } = this.#options
    if (plan.changesRoles)
      this.#running.push(setUp.then(() => changeRoles({ ...this.#operator('roles'), copies })))
    if (plan.changesFlush) this.#running.push(setUp.then(() => changeFlush(this.#operator('flush'))))
    if (plan.movesReplicas)
      this.#running.push(setUp.then(() => moveReplicas({ ...this.#operator('moves'), copies })))
    if (plan.removesBrokers === true)
      this.#running.push(setUp.then(() => removeBrokers({ ...this.#operator('removals'), copies, cluster })))
    if (plan.changesSettings === true)
      this.#running.push(setUp.then(() => changeSettings(this.#operator('settings'))))
    if (plan.addsPartitions === true) this.#running.push(setUp.then(() => this.#addPartitions()))
    if (plan.changesVoters) this.#running.push(setUp.then(() => changeVoters(this.#operator('quorum'))))
  }

  /** From now on clients work so little that followers can catch up, whatever the plan has made of their links. */
  calm(): void {
    this.#isCalm = true
    this.#thinkMsMin = CALM_THINK_MS
  }

  /** Resolves when all clients have done what they were about. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
  }

  /** Reads everything once more, with every fault over. @returns the keys that could not be read to their ends. */
  async readAll(ends: ReadonlyMap<HistoryKey, Offset>): Promise<readonly string[]> {
    const { cluster, plan } = this.#options
    const reader = cluster.client()
    const consumer = new RecordedConsumer({
      ...this.#recording(),
      client: reader.client,
      clock: reader.clock,
    })
    const drained = await finalPhase({
      ...this.#recording(),
      clock: reader.clock,
      consumers: [consumer],
      timeoutMs: 200_000,
      // A slow network needs its time; beginning anew only helps a reader that is stuck.
      restartMs: plan.deletesRecords ? 20_000 : 100_000,
      keys: this.#keys,
      ends,
      isGone: (key, offset) => offset < this.#options.logStartOf(key),
    })
    await consumer.close()
    return drained.flatMap(({ behind }) =>
      [...behind].map(([key, at]) => `${key} at ${at.position} of ${at.largestOffset}`),
    )
  }

  async #setUp(by: SimulatedClient): Promise<void> {
    for (const topic of this.#options.plan.topics) await this.#createSurely(by, topic)
  }

  async #createSurely({ client, clock }: SimulatedClient, topic: TopicPlan): Promise<void> {
    for (;;) {
      try {
        await client.admin.createTopic({ ...topic, timeoutMs: ADMIN_TIMEOUT_MS })
        return
      } catch (thrown) {
        const { code } = toVltavaError(thrown)
        this.#options.onTrace(`create-topic ${topic.name}: ${code}`)
        if (code === 'TOPIC_ALREADY_EXISTS') return
      }
      await sleep(clock, ADMIN_PAUSE_MS)
    }
  }

  async #produce(number: number, { client, clock }: SimulatedClient): Promise<void> {
    const { plan, onAcknowledged } = this.#options
    const random = this.#random(`producer-${number}`)
    const { recordKeys } = plan
    const producer = new RecordedProducer({
      ...this.#recording(),
      client,
      ...(recordKeys === null ? {} : { recordKeyOf: (value: string) => recordKeyOf(value, recordKeys) }),
      producer: {
        deliveryTimeoutMs: plan.deliveryTimeoutMs,
        requestTimeoutMs: Math.max(500, Math.floor(plan.deliveryTimeoutMs / 3)),
        maxBlockMs: plan.deliveryTimeoutMs,
        batchBytes: oneOf(random, [512, 4_096, 262_144]),
        lingerMs: oneOf(random, [0, 0, 20]),
      },
    })
    while (!this.#isStopping && this.#values < VALUES_MAX) {
      if (chance(random, 1)) await producer.crash()
      const key = oneOf(random, this.#keys)
      const values = Array.from(
        { length: between(random, 1, plan.recordsPerSendMax) },
        () => `v${++this.#values}`,
      )
      const { type, offsets, error } = await producer.send(key, values)
      this.#options.onTrace(
        `producer-${number} ${type} ${key} ${values[0]}+${values.length} ${offsets.join(',')} ${error?.code ?? ''}`,
      )
      this.#options.onMark(`send ${type}`)
      for (const offset of offsets) if (offset !== null) onAcknowledged(key, offset)
      await sleep(clock, Math.max(plan.thinkMs, this.#thinkMsMin) * exponential(random))
    }
    await producer.close()
  }

  async #consume(number: number, { client, clock }: SimulatedClient): Promise<void> {
    const random = this.#random(`consumer-${number}`)
    const consumer = new RecordedConsumer({
      ...this.#recording(),
      client,
      clock,
      consumer: {
        maxWaitMs: oneOf(random, [10, 100, 500]),
        maxPartitionBytes: oneOf(random, [1_024, 16_384, 1_048_576]),
        requestTimeoutMs: 3_000,
        // A reset would hide that an offset which was handed out left the log, though nothing was deleted (REP-33).
        autoOffsetReset: 'none',
        // Longer than any fault and the failover after it, so that whoever begins at a bare offset is never wrong.
        verifyOutOfRangeMs: 120_000,
        readFrom: this.#readFrom(number),
      },
      forgetsEpochs: chance(random, 25),
    })
    await consumer.assign(this.#keys, { from: 'beginning' })
    while (!this.#isStopping) {
      if (chance(random, 2)) {
        if (chance(random, 50)) await consumer.crash()
        const keys = shuffled(random, this.#keys).slice(0, between(random, 1, this.#keys.length))
        await consumer.assign(keys, { from: oneOf(random, ['beginning', 'last', 'last', 'last', 'last']) })
      }
      const { type, records, error } = await consumer.poll({
        timeoutMs: between(random, 10, 1_000),
        recordsMax: between(random, 1, 100),
      })
      this.#options.onTrace(
        `consumer-${number} ${type} ${[...records].map(([key, seen]) => `${key}:${seen.length}`).join(' ')}`,
      )
      this.#options.onMark(`poll ${type}`)
      for (const [key, seen] of records) this.#options.onRead(key, seen.at(-1)![0])
      // What it wanted next was deleted: whoever reads on has to know that he leaves something out.
      if (error?.code === 'OFFSET_OUT_OF_RANGE' && this.#options.plan.deletesRecords) {
        await consumer.crash()
        await consumer.assign(this.#keys, { from: 'beginning' })
      }
      await sleep(clock, Math.max(this.#options.plan.thinkMs, this.#thinkMsMin) * exponential(random))
    }
    await consumer.close()
  }

  /** Drawn apart, so that a consumer of the leaders does what it did before there were others. */
  #readFrom(number: number): ReadFrom {
    const { plan } = this.#options
    if (!plan.readsReplicas) return 'leader'
    const random = this.#random(`reads-${number}`)
    return oneOf<ReadFrom>(random, ['any', 'any', between(random, 1, plan.nodes), 'leader'])
  }

  /** What consumers tell of the replicas they read from. */
  #clientLog(): Log {
    const { onMark } = this.#options
    const debug = (event: string, { code }: LogFields = {}): void => {
      if (event === 'consume-from-replica') onMark('read from a follower')
      if (event === 'consume-from-leader') onMark(`${String(code)} redirected`)
    }
    return { ...silentLog, debug }
  }

  /** Makes and deletes topics, and remembers what must have become of them. */
  async #changeTopics({ client, clock }: SimulatedClient): Promise<void> {
    const random = this.#random('topics')
    while (!this.#isStopping) {
      const there = [...this.extraTopics].filter(([, state]) => state === 'there').map(([name]) => name)
      const isDeletion = there.length > 0 && chance(random, 40)
      const name = isDeletion ? oneOf(random, there) : `extra-${this.extraTopics.size + 1}`
      const wanted: ExtraTopic = isDeletion ? 'gone' : 'there'
      try {
        if (isDeletion) await client.admin.deleteTopic(name, { timeoutMs: ADMIN_TIMEOUT_MS })
        else
          await client.admin.createTopic({
            name,
            partitions: between(random, 1, 2),
            timeoutMs: ADMIN_TIMEOUT_MS,
          })
        this.extraTopics.set(name, wanted)
      } catch (thrown) {
        const error = toVltavaError(thrown)
        const isDone = error.code === 'TOPIC_ALREADY_EXISTS' || error.code === 'UNKNOWN_TOPIC_OR_PARTITION'
        if (isDone) this.extraTopics.set(name, wanted)
        else if (!error.definite) this.extraTopics.set(name, 'unknown')
        else if (!isDeletion) this.extraTopics.set(name, 'gone')
        this.#options.onTrace(`topics ${wanted} ${name}: ${error.code}`)
      }
      this.#options.onMark(`topic ${wanted}`)
      await sleep(clock, 20 * this.#options.plan.thinkMs * exponential(random))
    }
  }

  async #addPartitions(): Promise<void> {
    await addPartitions({
      ...this.#operator('partitions'),
      onAdded: (topic, partitions) => {
        this.#keys.push(...partitions.map((partition) => historyKey(topic, partition)))
        this.partitionCounts.set(topic, partitions.at(-1)! + 1)
      },
    })
  }

  /** Deletes records by request, now and then all that are there. */
  async #deleteRecords({ client, clock }: SimulatedClient): Promise<void> {
    const random = this.#random('deletions')
    const { onDeleted, onTrace, onMark, plan } = this.#options
    while (!this.#isStopping) {
      await sleep(clock, Math.max(20 * plan.thinkMs, this.#thinkMsMin) * exponential(random))
      const key = oneOf(random, this.#keys)
      const { topic, partition } = parseHistoryKey(key)
      const options = { topic, partition, timeoutMs: ADMIN_TIMEOUT_MS }
      try {
        const offsets = await client.admin.listOffsets({
          topic,
          partitions: [partition],
          timeoutMs: ADMIN_TIMEOUT_MS,
        })
        const { logStartOffset, highWatermark } = offsets.get(partition)!
        const before = chance(random, 20) ? 'end' : between(random, logStartOffset, highWatermark)
        const deleted = await client.admin.deleteRecords({ ...options, before })
        onDeleted(key, before === 'end' ? deleted.logStartOffset : before)
        onMark('records deleted')
      } catch (thrown) {
        onTrace(`deletion ${key}: ${toVltavaError(thrown).code}`)
      }
    }
  }

  /** Not any more once all faults are over: then the cluster has to come to rest. */
  #operator(name: string): OperatorOptions {
    const { cluster, plan, onTrace, onMark } = this.#options
    const isStopping = (): boolean => this.#isStopping || this.#isCalm
    return { plan, by: cluster.client(), random: this.#random(name), isStopping, onTrace, onMark }
  }

  #recording(): {
    readonly recorder: HistoryRecorder
    readonly nowMs: () => number
    readonly nextProcess: () => number
    readonly codec: ValueCodec
  } {
    const { kernel } = this.#options
    const { recorder } = this
    return {
      recorder,
      nowMs: () => kernel.nowMs,
      nextProcess: () => recorder.newProcess(),
      codec: this.#codec,
    }
  }

  #random(name: string): Random {
    return this.#options.streams.stream(`workload/${name}`)
  }
}

/** The key of the record that carries a value of the workload. @param recordKeys how many keys there are. */
export function recordKeyOf(value: string, recordKeys: number): string {
  return `k${Number(value.slice(1)) % recordKeys}`
}

/** Values with so many bytes behind them, so that segments roll and batches fill. */
function paddedCodec(padding: number): ValueCodec {
  const tail = ' '.repeat(padding)
  const decoder = new TextDecoder()
  return {
    encode: (value) => value + tail,
    decode: (bytes) => decoder.decode(bytes).trimEnd(),
  }
}
