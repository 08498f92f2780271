// Calls that are tried again until they succeed or their time is up: what admin calls and consumers ask beside records.
import { Sleeper } from '../base/async/sleeper.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, PartitionIndex, TopicId } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Connection } from '../net/connection.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { clusterMetadata } from '../protocol/cluster-metadata.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import { listOffsets } from '../protocol/list-offsets.ts'
import type { AnyBroker } from './any-broker.ts'
import type { ResolvedClientSettings } from './client-options.ts'
import { type BrokerView, ClusterView, leaderOf, type TopicView } from './cluster-view.ts'
import type { Connections } from './connections.ts'
import { closedError } from './errors.ts'
import { retryAction } from './retry.ts'
import { type LogBounds, noSuchPartition, type OffsetSpec } from './start-position.ts'
import { UNKNOWN_TOPIC_WAIT_MS, unknownTopicError } from './unknown-topic.ts'

/** A topic that was just created is looked for at short intervals: its creator waits for it. */
const UNKNOWN_TOPIC_ATTEMPT_MAX = 3

/** One broker may take this long; then the next is asked. */
const ATTEMPT_TIMEOUT_MS = 5_000

export interface ClusterCallsOptions {
  readonly clock: Clock
  readonly random: Random
  readonly settings: ResolvedClientSettings
  readonly connections: Connections
  readonly anyBroker: AnyBroker
  /** What all of the client knows; every answer adds to it. */
  readonly view: ClusterView
}

/** What a leader answered about one of its partitions. */
export interface PartitionOffsets extends LogBounds {
  readonly leaderEpoch: LeaderEpoch
  readonly logEndOffset: Offset
}

/** A topic as one answer showed it, with the brokers of that answer. */
export interface TopicSnapshot {
  readonly view: ClusterView
  readonly topic: TopicView
}

export type OffsetQueries = ReadonlyMap<PartitionIndex, OffsetSpec>
export type OffsetResults = ReadonlyMap<PartitionIndex, PartitionOffsets | VltavaError>

type MetadataAnswer = ResponseOf<typeof clusterMetadata>

export class ClusterCalls {
  readonly #options: ClusterCallsOptions
  readonly #sleeper: Sleeper

  constructor(options: ClusterCallsOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.clock)
  }

  /** Ends the pauses between attempts; what is under way ends with the connections. */
  close(): void {
    this.#sleeper.stop()
  }

  /** Until when a call may take, by default. */
  deadlineMs(timeoutMs: number = this.#options.settings.requestTimeoutMs): number {
    return this.#options.clock.monotonicMs() + timeoutMs
  }

  /**
   * Asks any broker, again and again until the deadline; as long as none was ever reached, for `bootstrapTimeoutMs`.
   * @throws VltavaError the answer that is not retriable, or the last error.
   */
  async ask<T>(
    request: (connection: Connection, timeoutMs: number) => Promise<T>,
    deadlineMs: number,
  ): Promise<T> {
    const { clock, settings, anyBroker, view } = this.#options
    const bootstrapDeadlineMs = clock.monotonicMs() + settings.bootstrapTimeoutMs
    for (let failures = 1; ; failures++) {
      try {
        return await anyBroker.ask({ request, attemptTimeoutMs: ATTEMPT_TIMEOUT_MS, deadlineMs })
      } catch (thrown) {
        const error = toVltavaError(thrown)
        if (retryAction(error) === 'fail') throw error
        const endMs = view.clusterId === null ? Math.min(deadlineMs, bootstrapDeadlineMs) : deadlineMs
        if (!(await this.#pause(failures, endMs)))
          throw this.#sleeper.isStopped ? closedError('client') : error
      }
    }
  }

  /**
   * Asks one broker, and again until the deadline while it is starting: others show it as alive before it has read what it missed.
   * @throws VltavaError what the question throws; BROKER_FENCED where the broker is still starting at the deadline.
   */
  async whenStarted<T>(deadlineMs: number, question: (timeoutMs: number) => Promise<T>): Promise<T> {
    const { clock } = this.#options
    for (let failures = 1; ; failures++) {
      try {
        return await question(Math.max(1, Math.ceil(deadlineMs - clock.monotonicMs())))
      } catch (thrown) {
        const error = toVltavaError(thrown)
        if (error.code !== 'BROKER_FENCED' || !(await this.#pause(failures, deadlineMs))) throw error
      }
    }
  }

  /** @param topics null: all of them. */
  async metadata(topics: readonly string[] | null, deadlineMs: number): Promise<MetadataAnswer> {
    const { clock, view } = this.#options
    const { body } = await this.ask(
      (connection, timeoutMs) => connection.request(clusterMetadata, { topics }, { timeoutMs }),
      deadlineMs,
    )
    view.applyAnswer(body, clock.monotonicMs(), () => false)
    return body
  }

  /**
   * The newest metadata of a topic.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION once it was unknown for UNKNOWN_TOPIC_WAIT_MS
   */
  async topic(name: string, deadlineMs: number): Promise<TopicSnapshot> {
    const { clock } = this.#options
    const view = new ClusterView()
    for (let failures = 1; ; failures++) {
      const answer = await this.metadata([name], deadlineMs)
      view.applyAnswer(answer, clock.monotonicMs(), (other) => other === name)
      const topic = view.topic(name)
      if (topic !== null) return { view, topic }
      const unknown = view.unknownTopic(name)
      const state = { nowMs: clock.monotonicMs(), waitMs: UNKNOWN_TOPIC_WAIT_MS }
      const error = unknown === null ? null : unknownTopicError(name, { ...state, unknown })
      if (error !== null) throw error
      const attempt = Math.min(failures, UNKNOWN_TOPIC_ATTEMPT_MAX)
      if (!(await this.#pause(attempt, deadlineMs))) throw unknown?.error ?? closedError('client')
    }
  }

  /** Asks the leaders of a topic once. Never rejects: what went wrong stands in the result of each partition. */
  async offsets(snapshot: TopicSnapshot, queries: OffsetQueries): Promise<OffsetResults> {
    const results = new Map<PartitionIndex, PartitionOffsets | VltavaError>()
    const byLeader = new Map<BrokerView, PartitionIndex[]>()
    for (const partition of queries.keys()) {
      const leader = leaderOf(snapshot.view, snapshot.topic, partition)
      const outdated = this.#outdated(
        snapshot.topic,
        partition,
        snapshot.topic.partitions[partition]?.leaderEpoch,
      )
      if (outdated !== null) {
        results.set(partition, outdated)
      } else if (leader === null) {
        const detail = `Partition ${partition} of topic "${snapshot.topic.name}" has no leader at the moment.`
        results.set(partition, new VltavaError('LEADER_NOT_AVAILABLE', detail))
      } else {
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
      }
    }
    await Promise.all(
      [...byLeader].map(async ([leader, partitions]) => {
        const answers = await this.#offsetsFrom(leader, { snapshot, queries, partitions })
        for (const [i, partition] of partitions.entries()) {
          const answer = answers[i]!
          const epoch = answer instanceof VltavaError ? undefined : answer.leaderEpoch
          results.set(partition, this.#outdated(snapshot.topic, partition, epoch) ?? answer)
        }
      }),
    )
    return results
  }

  /**
   * Asks the leaders of a topic until all have answered, with fresh metadata for each attempt.
   * @throws VltavaError the first error that is not retriable, or an error of the last attempt.
   */
  async allOffsets(
    topic: string,
    ask: {
      /** What to ask for, once the topic is known. */
      readonly queriesFor: (topic: TopicView) => OffsetQueries
      readonly deadlineMs: number
    },
  ): Promise<ReadonlyMap<PartitionIndex, PartitionOffsets>> {
    for (let failures = 1; ; failures++) {
      const snapshot = await this.topic(topic, ask.deadlineMs)
      const results = await this.offsets(snapshot, ask.queriesFor(snapshot.topic))
      const errors = [...results.values()].filter((result) => result instanceof VltavaError)
      if (errors.length === 0) return results as ReadonlyMap<PartitionIndex, PartitionOffsets>
      const final = errors.find((error) => retryAction(error) === 'fail')
      if (final !== undefined) throw final
      if (!(await this.#pause(failures, ask.deadlineMs))) throw errors[0]!
    }
  }

  /**
   * Asks the leader of a partition until it has answered, with fresh metadata for each attempt.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION, the answer that is not retriable, or the last error.
   */
  async askLeader<T>(ask: {
    readonly topic: string
    readonly partition: PartitionIndex
    readonly deadlineMs: number
    readonly request: (
      connection: Connection,
      leader: { readonly topicId: TopicId; readonly leaderEpoch: LeaderEpoch; readonly timeoutMs: number },
    ) => Promise<T>
  }): Promise<T> {
    const { clock, connections, settings } = this.#options
    const { partition, deadlineMs } = ask
    for (let failures = 1; ; failures++) {
      const { view, topic } = await this.topic(ask.topic, deadlineMs)
      const partitionsCount = topic.partitions.length
      if (partition >= partitionsCount) throw noSuchPartition(ask.topic, { partition, partitionsCount })
      try {
        const leader = leaderOf(view, topic, partition)
        if (leader === null)
          throw new VltavaError(
            'LEADER_NOT_AVAILABLE',
            `Partition ${partition} of "${ask.topic}" has no leader.`,
          )
        const connection = await connections.dial(leader)
        const leftMs = Math.max(1, Math.ceil(deadlineMs - clock.monotonicMs()))
        const timeoutMs = Math.min(leftMs, settings.requestTimeoutMs)
        const { leaderEpoch } = topic.partitions[partition]!
        return await ask.request(connection, { topicId: topic.topicId, leaderEpoch, timeoutMs })
      } catch (thrown) {
        const error = toVltavaError(thrown)
        if (retryAction(error) === 'fail' || !(await this.#pause(failures, deadlineMs))) throw error
      }
    }
  }

  /** Repeats the question until it is answered with yes, fails, or the time is up. Never rejects with a VltavaError. */
  async poll(deadlineMs: number, question: (timeoutMs: number) => Promise<boolean>): Promise<void> {
    const { clock, settings } = this.#options
    try {
      for (let failures = 1; ; failures++) {
        const leftMs = Math.max(1, Math.ceil(deadlineMs - clock.monotonicMs()))
        if (await question(Math.min(leftMs, settings.requestTimeoutMs))) return
        if (!(await this.#pause(failures, deadlineMs))) return
      }
    } catch (thrown) {
      if (!(thrown instanceof VltavaError)) throw thrown
    }
  }

  /**
   * Why an answer of this leader epoch does not count: a newer leader is known, and the older one, which may not know of
   * it, does not know its end either.
   */
  #outdated(topic: TopicView, partition: PartitionIndex, epoch: LeaderEpoch | undefined): VltavaError | null {
    const known = this.#options.view.topic(topic.name)
    if (epoch === undefined || known === null || known.topicId !== topic.topicId) return null
    const newest = known.partitions[partition]?.leaderEpoch ?? -1
    if (epoch >= newest) return null
    const detail = `Partition ${partition} of topic "${topic.name}" has a leader of epoch ${newest}; one of epoch ${epoch} does not count.`
    return new VltavaError('FENCED_LEADER_EPOCH', detail)
  }

  /** Waits before the next attempt. @returns false when the time does not suffice for one, or the client closes. */
  async #pause(failures: number, deadlineMs: number): Promise<boolean> {
    const { clock, random, settings } = this.#options
    const { retryBackoffMs: baseMs, retryBackoffMaxMs: maxMs } = settings
    const pauseMs = backoffMs({ attempt: failures, baseMs, maxMs, random })
    if (this.#sleeper.isStopped || clock.monotonicMs() + pauseMs >= deadlineMs) return false
    await this.#sleeper.sleep(pauseMs)
    return !this.#sleeper.isStopped
  }

  async #offsetsFrom(
    leader: BrokerView,
    ask: {
      readonly snapshot: TopicSnapshot
      readonly queries: OffsetQueries
      readonly partitions: readonly PartitionIndex[]
    },
  ): Promise<readonly (PartitionOffsets | VltavaError)[]> {
    const { connections, settings } = this.#options
    const { snapshot, queries, partitions } = ask
    const { topicId, partitions: views } = snapshot.topic
    const body = {
      partitions: partitions.map((partition) => ({
        topicId,
        partition,
        currentLeaderEpoch: views[partition]!.leaderEpoch,
        spec: queries.get(partition)!,
      })),
    }
    try {
      const connection = await connections.dial(leader)
      const timeoutMs = Math.min(settings.requestTimeoutMs, ATTEMPT_TIMEOUT_MS)
      const { body: answer } = await connection.request(listOffsets, body, { timeoutMs })
      if (answer.partitions.length !== partitions.length) {
        const detail = `The answer is about ${answer.partitions.length} partitions, not ${partitions.length}.`
        throw new VltavaError('PROTOCOL_VIOLATION', detail)
      }
      return answer.partitions.map((result) => (result.error === null ? result : errorOfWire(result.error)))
    } catch (thrown) {
      const error = toVltavaError(thrown)
      return partitions.map(() => error)
    }
  }
}
