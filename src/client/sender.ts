// Sends what the accumulator holds and settles it: the loop of the producer. It runs once in a turn in which something
// happened (records, answers, metadata, time), looks at every partition that waits, and sends what can be sent.
import { assert } from '../base/assert.ts'
import { WakeTimer } from '../base/async/wake-timer.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import { produce } from '../protocol/produce.ts'
import type { PartitionQueue } from './accumulator.ts'
import { BatchOutcomes, type BatchOutcomesOptions } from './batch-outcomes.ts'
import { BrokerLoad } from './broker-load.ts'
import { brokerTimeoutMs } from './broker-timeout.ts'
import { type BrokerView, leaderOf, type PartitionView } from './cluster-view.ts'
import type { Connections } from './connections.ts'
import { Dialer } from './dialer.ts'
import { planRequests, produceBody, type SentBatch } from './produce-plan.ts'
import { noSuchPartition } from './start-position.ts'
import type { TopicQueue } from './topic-queue.ts'

/**
 * How long an attempt may still be answered once the partition has another leader. A broker that is alive answers
 * within this; one that is cut off would use up the whole request timeout. The old leader cannot commit the batch any
 * more, so sending it to the new one risks a duplicate only where it had been committed just before.
 */
const STALE_LEADER_GRACE_MS = 500

/** With acks 0 nothing is answered; the socket's own buffer is what bounds the bytes under way. */
const UNANSWERED_BUFFER_MAX_BYTES = 8 * 1024 * 1024

export interface SenderOptions extends BatchOutcomesOptions {
  readonly connections: Connections
}

/** What goes to one broker in this turn. */
interface Dispatch {
  readonly broker: BrokerView
  readonly connection: Connection
  readonly batches: SentBatch[]
  bytes: number
}

export class Sender {
  readonly #options: SenderOptions
  readonly #outcomes: BatchOutcomes
  readonly #load = new BrokerLoad()
  readonly #dialer: Dialer
  readonly #timer: WakeTimer
  /** Connections whose socket buffer was too full, until it has drained. */
  readonly #draining = new Set<Connection>()
  /** Attempts at brokers that lead no more, and when to stop waiting for their answer. */
  readonly #stale = new Map<PartitionQueue, { readonly attempt: number; readonly atMs: number }>()
  readonly #stopListening: () => void
  #isScheduled = false
  #metadataChanged = false
  #isClosed = false

  constructor(options: SenderOptions) {
    this.#options = options
    this.#outcomes = new BatchOutcomes(options)
    this.#timer = new WakeTimer(options.environment.clock, () => this.schedule())
    this.#dialer = new Dialer({
      connections: options.connections,
      onOpen: () => this.schedule(),
      onFailed: (broker, error) => this.#dialFailed(broker, error),
    })
    this.#stopListening = options.metadata.onUpdate(() => {
      this.#metadataChanged = true
      this.schedule()
    })
  }

  /** Runs the loop at the end of this turn, so that all records of one turn share their batches. */
  schedule(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    queueMicrotask(() => this.#run())
  }

  /** Stops, and gives up everything that is left. */
  close(error: VltavaError): void {
    this.#isClosed = true
    this.#timer.cancel()
    this.#stopListening()
    for (const queue of [...this.#options.accumulator.active]) this.#outcomes.giveUpAll(queue, error)
  }

  #run(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    const { environment, intake } = this.#options
    const nowMs = environment.clock.monotonicMs()
    if (this.#metadataChanged || nowMs >= intake.nextDeadlineMs) {
      this.#metadataChanged = false
      intake.advance(nowMs)
      this.#leadersMayHaveChanged(nowMs)
    }
    this.#abandonStale(nowMs)
    this.#outcomes.expire(nowMs)
    const dueMs = this.#dispatch(nowMs)
    // A callback of a settled record may have closed the producer.
    if (!this.#isClosed) this.#arm(dueMs)
  }

  /** Sends what can be sent. @returns when the next batch that has to wait may be. */
  #dispatch(nowMs: number): number {
    const { accumulator } = this.#options
    const dispatches = new Map<NodeId, Dispatch>()
    let earliestMs = Number.POSITIVE_INFINITY
    for (const queue of accumulator.pending) {
      if (accumulator.dueMs(queue) <= nowMs) this.#route(queue, { nowMs, dispatches })
      // Sent: its answer runs the loop again. Not sent and due all the same: so does what it waits for.
      if (queue.attempt === 0 && queue.batches.length > 0) {
        const dueMs = accumulator.dueMs(queue)
        if (dueMs > nowMs) earliestMs = Math.min(earliestMs, dueMs)
      }
    }
    for (const dispatch of dispatches.values()) this.#send(dispatch, nowMs)
    return earliestMs
  }

  /** Puts the first batch of the queue on its way to the leader, if that can be reached. */
  #route(
    queue: PartitionQueue,
    turn: { readonly nowMs: number; readonly dispatches: Map<NodeId, Dispatch> },
  ): void {
    const { accumulator, connections, intake, metadata } = this.#options
    const { nowMs, dispatches } = turn
    const topic = intake.topic(queue.topic)
    assert(topic !== null, 'a topic is kept while it has batches')
    const { view } = topic
    if (view === null) {
      this.#topicIsMissing(queue, topic, nowMs)
      return
    }
    metadata.refreshIfOld(view, nowMs)
    const partition = view.partitions[queue.partition]
    if (partition === undefined) {
      const which = { partition: queue.partition, partitionsCount: view.partitions.length }
      this.#outcomes.giveUpAll(queue, noSuchPartition(queue.topic, which))
      return
    }
    const broker = leaderOf(metadata.view, view, queue.partition)
    if (broker === null) {
      const detail = `Partition ${queue.partition} of topic "${queue.topic}" has no leader at the moment.`
      queue.triedEpoch = partition.leaderEpoch
      this.#outcomes.couldNotSend(queue, new VltavaError('LEADER_NOT_AVAILABLE', detail))
      if (partition !== undefined) this.#probeReplicas(partition)
      return
    }
    let dispatch = dispatches.get(broker.brokerId)
    if (dispatch === undefined) {
      const connection = connections.openTo(broker)
      if (connection === null) {
        this.#dialer.dial(broker)
        return
      }
      dispatch = { broker, connection, batches: [], bytes: 0 }
      dispatches.set(broker.brokerId, dispatch)
    }
    if (!this.#hasRoom(dispatch)) return
    const batch = accumulator.take(queue, partition.leaderEpoch)
    const bytes = batch.bytes()
    const { attempt } = queue
    const { topicId } = view
    dispatch.batches.push({ queue, attempt, batch, bytes, topicId, leaderEpoch: partition.leaderEpoch })
    dispatch.bytes += bytes.length
  }

  #hasRoom(dispatch: Dispatch): boolean {
    const { broker, connection, bytes } = dispatch
    if (this.#options.options.acks !== 0) return this.#load.hasRoom(broker.brokerId, bytes)
    if (connection.bufferedBytes + bytes < UNANSWERED_BUFFER_MAX_BYTES) return true
    if (!this.#draining.has(connection)) {
      this.#draining.add(connection)
      const resume = (): void => {
        stopDrain()
        stopClose()
        this.#draining.delete(connection)
        this.schedule()
      }
      const stopDrain = connection.onDrain(resume)
      const stopClose = connection.onClose(resume)
    }
    return false
  }

  #send(dispatch: Dispatch, nowMs: number): void {
    const { broker, connection } = dispatch
    const { acks, maxRequestBytes, requestTimeoutMs } = this.#options.options
    for (const batches of planRequests(dispatch.batches, maxRequestBytes)) {
      let bytes = 0
      let leftMs = 0
      for (const { batch } of batches) {
        bytes += batch.sizeBytes
        leftMs = Math.max(leftMs, batch.deadlineMs - nowMs)
      }
      const timeoutMs = Math.max(1, Math.ceil(Math.min(requestTimeoutMs, leftMs)))
      const body = produceBody(batches, { acks, timeoutMs: brokerTimeoutMs(timeoutMs) })
      const payload = batches.map((batch) => batch.bytes)
      if (acks === 0) {
        this.#sendUnanswered(batches, () => connection.notify(produce, body, payload))
        continue
      }
      this.#load.sent(broker.brokerId, bytes)
      const ended = (): void => {
        this.#load.ended(broker.brokerId, bytes)
        this.schedule()
      }
      connection.request(produce, body, { payload, timeoutMs }).then(
        ({ body: answer }) => {
          this.#outcomes.answered(batches, answer.partitions)
          ended()
        },
        (error: unknown) => {
          this.#outcomes.requestFailed(batches, toVltavaError(error))
          ended()
        },
      )
    }
  }

  /** With acks 0: what the socket took counts as sent. */
  #sendUnanswered(batches: readonly SentBatch[], notify: () => boolean): void {
    try {
      if (!notify())
        throw new VltavaError('CONNECTION_FAILED', 'The connection closed before the batch was sent.')
      for (const sent of batches) this.#outcomes.succeeded(sent, { offset: -1, leaderEpoch: -1 })
    } catch (error) {
      this.#outcomes.requestFailed(batches, toVltavaError(error))
    }
    this.schedule()
  }

  #topicIsMissing(queue: PartitionQueue, topic: TopicQueue, nowMs: number): void {
    const { intake } = this.#options
    const refusal = intake.refusalOf(topic, nowMs)
    if (refusal === null) {
      const detail = `Topic "${queue.topic}" is not known at the moment.`
      this.#outcomes.couldNotSend(queue, new VltavaError('LEADER_NOT_AVAILABLE', detail))
      return
    }
    this.#outcomes.giveUpAll(queue, refusal)
    intake.refuse(topic, refusal)
  }

  #dialFailed(broker: BrokerView, error: VltavaError): void {
    const { accumulator, intake } = this.#options
    const name = `broker ${broker.brokerId} (${broker.url})`
    for (const queue of accumulator.pending) {
      const partition = intake.topic(queue.topic)?.view?.partitions[queue.partition]
      if (partition?.leader === broker.brokerId) {
        queue.triedEpoch = partition.leaderEpoch
        this.#outcomes.couldNotSend(queue, error, name)
        this.#probeReplicas(partition)
      } else if (partition?.replicas.includes(broker.brokerId) === true) {
        this.#outcomes.notReachable(queue, name)
      }
    }
    this.schedule()
  }

  /** Finds out which replicas of a partition without a reachable leader are missing: the error then names them all. */
  #probeReplicas(partition: PartitionView): void {
    const { connections, metadata } = this.#options
    for (const id of partition.replicas) {
      const broker = metadata.view.broker(id)
      if (id === partition.leader || broker === null) continue
      if (connections.openTo(broker) === null) this.#dialer.dial(broker)
    }
  }

  /** Sends again at once what failed at a leader that was replaced, and limits the wait for its answers. */
  #leadersMayHaveChanged(nowMs: number): void {
    const { accumulator, intake } = this.#options
    for (const queue of accumulator.active) {
      const epoch = intake.topic(queue.topic)?.view?.partitions[queue.partition]?.leaderEpoch ?? -1
      if (epoch <= queue.triedEpoch) continue
      const { attempt } = queue
      if (attempt === 0) queue.notBeforeMs = Math.min(queue.notBeforeMs, nowMs)
      else if (this.#stale.get(queue)?.attempt !== attempt) {
        this.#stale.set(queue, { attempt, atMs: nowMs + STALE_LEADER_GRACE_MS })
      }
    }
  }

  #abandonStale(nowMs: number): void {
    for (const [queue, { attempt, atMs }] of this.#stale) {
      if (queue.attempt === attempt && atMs > nowMs) continue
      this.#stale.delete(queue)
      if (queue.attempt !== attempt) continue
      const detail = `The leader of epoch ${queue.triedEpoch} was replaced while the request was under way, and did not answer.`
      this.#outcomes.attemptFailed(queue, new VltavaError('NOT_LEADER_OR_FOLLOWER', detail))
    }
  }

  /** Makes sure that the loop runs at the given time, or when the next deadline passes. */
  #arm(dueMs: number): void {
    const { accumulator, intake } = this.#options
    let earliestMs = Math.min(dueMs, accumulator.nextDeadlineMs, intake.nextDeadlineMs)
    for (const { atMs } of this.#stale.values()) earliestMs = Math.min(earliestMs, atMs)
    this.#timer.arm(earliestMs)
  }
}
