import { beforeEach, describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import {
  HEADER_MAX_BYTES,
  HEADER_UNAUTHENTICATED_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  MESSAGE_UNAUTHENTICATED_MAX_BYTES,
  OUTPUT_BUFFER_MAX_BYTES,
  REQUESTS_IN_FLIGHT_MAX,
} from '../../src/model/limits.ts'
import { Connection } from '../../src/net/connection.ts'
import { Router } from '../../src/net/router.ts'
import type { CloseReason } from '../../src/net/transport.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { produce } from '../../src/protocol/produce.ts'
import { createTopic } from '../../src/protocol/topics.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { NO_SESSION, NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { FakeChannel } from './fake-channel.ts'
import { settle } from './settle.ts'

const fetchBody = { ...NO_SESSION, maxWaitMs: 0, minBytes: 0, maxBytes: 1, partitions: [] }
const produceBody = { acks: -1 as const, timeoutMs: 0, partitions: [] }
const EMPTY_ANSWER = [[]]

describe('connection', () => {
  let clock: ManualClock
  let log: RecordingLog
  let channel: FakeChannel
  let connection: Connection

  const dial = (side: 'dialed' | 'accepted' = 'dialed'): void => {
    channel = new FakeChannel()
    connection = new Connection({ channel, router: new Router(log), clock, log, side })
  }

  beforeEach(() => {
    clock = new ManualClock()
    log = new RecordingLog()
    dial()
  })

  it('request: answered -> body and payload of the response; the frame carries key, version and number', async () => {
    const payload = Uint8Array.of(1, 2, 3)
    const answer = connection.request(produce, produceBody, { timeoutMs: 1_000, payload: [payload] })
    const [sent] = channel.takeFrames()
    expect(sent).toMatchObject({ kind: 0, apiKey: 0, apiVersion: 0, errorCode: 0, body: [-1, 0, []] })
    expect([...sent!.payload]).toEqual([1, 2, 3])
    channel.deliver(
      { kind: 1, apiKey: 0, correlationId: sent!.correlationId, body: EMPTY_ANSWER },
      Uint8Array.of(9),
    )
    const { body, payload: received } = await answer
    expect(body).toEqual({ partitions: [] })
    expect([...received]).toEqual([9])
    expect(connection.requestsInFlight).toBe(0)
  })

  it('requests: answered in another order -> each gets its own answer', async () => {
    const answers = [1, 2, 3].map((maxBytes) =>
      connection.request(fetch, { ...fetchBody, maxBytes }, { timeoutMs: 1_000 }),
    )
    const ids = channel.takeFrames().map(({ correlationId }) => correlationId)
    expect(new Set(ids).size).toBe(3)
    for (const i of [2, 0, 1]) {
      const body = [[[null, i, 0, 0]]]
      channel.deliver({ kind: 1, apiKey: 1, correlationId: ids[i]!, body })
    }
    const marks = (await Promise.all(answers)).map(({ body }) => body.partitions[0]!.highWatermark)
    expect(marks).toEqual([0, 1, 2])
  })

  it('request: an error response -> VltavaError with code and detail', async () => {
    const answers = [0, 1, 2].map(() => connection.request(fetch, fetchBody, { timeoutMs: 1_000 }))
    const ids = channel.takeFrames().map(({ correlationId }) => correlationId)
    const error = { kind: 1 as const, apiKey: 1 }
    channel.deliver({ ...error, correlationId: ids[0]!, errorCode: 78, body: 'not yet' })
    channel.deliver({ ...error, correlationId: ids[1]!, errorCode: 78, body: '' })
    channel.deliver({ ...error, correlationId: ids[2]!, errorCode: 99_999, body: 'from the future' })
    await expect(answers[0]).rejects.toMatchObject({
      code: 'OFFSET_NOT_AVAILABLE',
      message: 'not yet',
      retriable: true,
    })
    await expect(answers[1]).rejects.toThrow('The offset is not committed yet; try again.')
    await expect(answers[2]).rejects.toMatchObject({
      code: 'UNKNOWN_SERVER_ERROR',
      message: 'from the future',
    })
  })

  it('request: no answer in time -> REQUEST_TIMED_OUT, indefinite; the late answer is counted and ignored', async () => {
    const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    const [sent] = channel.takeFrames()
    clock.advance(1_000)
    await expect(answer).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT', definite: false })
    channel.deliver({ kind: 1, apiKey: 1, correlationId: sent!.correlationId, body: EMPTY_ANSWER })
    channel.deliver({ kind: 1, apiKey: 1, correlationId: 4_000_000_000, body: EMPTY_ANSWER })
    expect(connection.lateResponses).toBe(2)
    expect(connection.isOpen).toBe(true)
  })

  it('connection lost: requests under way -> CONNECTION_LOST, indefinite, with the reason', async () => {
    const answers = [fetch, fetch].map((api) => connection.request(api, fetchBody, { timeoutMs: 1_000 }))
    channel.gone(4_000, 'stopping')
    for (const answer of answers) {
      await expect(answer).rejects.toMatchObject({ code: 'CONNECTION_LOST', definite: false })
      await expect(answer).rejects.toThrow('fetch was under way (code 4000: stopping)')
    }
    expect(clock.pendingTimers).toBe(0)
  })

  it('closed connection: requests -> CONNECTION_FAILED, definite, nothing is sent; notify -> false', async () => {
    channel.gone()
    const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    await expect(answer).rejects.toMatchObject({ code: 'CONNECTION_FAILED', definite: true, retriable: true })
    expect(connection.notify(produce, produceBody)).toBe(false)
    expect(channel.sent).toEqual([])
    expect(connection.isOpen).toBe(false)
  })

  it('close: waiting requests fail at once, hooks and `closed` follow when the channel is gone', async () => {
    const reasons: CloseReason[] = []
    const unsubscribed: CloseReason[] = []
    connection.onClose((reason) => reasons.push(reason))
    connection.onClose((reason) => unsubscribed.push(reason))()
    const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    connection.close('SHUTTING_DOWN', 'bye')
    connection.close('NORMAL')
    expect(channel.endings).toEqual([{ how: 'close', code: 4_000, reason: 'bye' }])
    await expect(answer).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect([connection.isOpen, reasons]).toEqual([false, []])
    channel.gone(1_000, 'echo')
    expect(reasons).toEqual([{ code: 4_000, reason: 'bye' }])
    expect(unsubscribed).toEqual([])
    expect(await connection.closed).toEqual({ code: 4_000, reason: 'bye' })
    connection.onClose((reason) => reasons.push(reason))
    expect(reasons.length).toBe(2)
  })

  it('SEC-17: messages that come after close -> are ignored', () => {
    const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    answer.catch(() => {})
    channel.takeFrames()
    connection.close()
    channel.deliver({ kind: 0, apiKey: 0, correlationId: 1 })
    channel.deliverBytes(Uint8Array.of(1, 2, 3))
    expect(channel.sent).toEqual([])
    expect(channel.endings.length).toBe(1)
  })

  it('notify: a request API without wish for an answer -> goes out one-way, with its payload', () => {
    expect(connection.notify(produce, { ...produceBody, acks: 0 }, [Uint8Array.of(5)])).toBe(true)
    const [sent] = channel.takeFrames()
    expect(sent).toMatchObject({ kind: 2, apiKey: 0, correlationId: 0, body: [0, 0, []] })
    expect([...sent!.payload]).toEqual([5])
  })

  it('SEC-17: bytes that are no frame -> one log line, PROTOCOL_VIOLATION, waiting requests fail', async () => {
    const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    channel.deliverBytes(Uint8Array.of(1, 2, 3))
    channel.deliverBytes(Uint8Array.of(1, 2, 3))
    await expect(answer).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(channel.endings.map(({ how, code }) => [how, code])).toEqual([['close', 4_001]])
    expect(channel.endings[0]!.reason).toContain('too short')
    expect(log.named('protocol-violation').length).toBe(1)
    expect(log.events.length).toBe(1)
  })

  it('SEC-17: a response of another API, or one that breaks its schema -> PROTOCOL_VIOLATION, indefinite', async () => {
    for (const response of [
      { apiKey: 0, body: EMPTY_ANSWER },
      { apiKey: 1, body: [[[null, -1, 0, 0]]] },
      { apiKey: 1, body: 'text' },
      { apiKey: 1, body: null },
    ]) {
      dial()
      const answer = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
      const [sent] = channel.takeFrames()
      channel.deliver({ kind: 1, correlationId: sent!.correlationId, ...response })
      await expect(answer).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION', definite: false })
      expect(channel.endings.map(({ code }) => code)).toEqual([4_001])
    }
  })

  it('SEC-40: REQUESTS_IN_FLIGHT_MAX of our own under way -> the next is refused without being sent', async () => {
    const answers = Array.from({ length: REQUESTS_IN_FLIGHT_MAX }, () =>
      connection.request(fetch, fetchBody, { timeoutMs: 1_000 }),
    )
    const [first] = channel.takeFrames()
    const refused = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    await expect(refused).rejects.toMatchObject({ code: 'SERVER_BUSY', definite: true })
    expect(channel.sent).toEqual([])
    channel.deliver({ kind: 1, apiKey: 1, correlationId: first!.correlationId, body: EMPTY_ANSWER })
    await answers[0]
    const accepted = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    expect(channel.sent.length).toBe(1)
    channel.gone()
    const results = await Promise.allSettled([...answers, accepted])
    expect(results.filter(({ status }) => status === 'rejected').length).toBe(REQUESTS_IN_FLIGHT_MAX)
  })

  it('SEC-08: a reader that does not read -> the connection is aborted, the request in hand was not sent', async () => {
    const waiting = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    channel.takeFrames()
    channel.bufferedBytes = OUTPUT_BUFFER_MAX_BYTES + 1
    expect(connection.bufferedBytes).toBe(OUTPUT_BUFFER_MAX_BYTES + 1)
    const next = connection.request(fetch, fetchBody, { timeoutMs: 1_000 })
    await expect(next).rejects.toMatchObject({ code: 'CONNECTION_FAILED', definite: true })
    await expect(waiting).rejects.toMatchObject({ code: 'CONNECTION_LOST', definite: false })
    expect(channel.endings.map(({ how, code }) => [how, code])).toEqual([['abort', 4_006]])
    expect(channel.sent).toEqual([])
    expect(log.named('connection-output-overflow').length).toBe(1)
  })

  it('onDrain -> calls back until it is taken back', () => {
    let drains = 0
    const stop = connection.onDrain(() => drains++)
    channel.drain()
    channel.drain()
    stop()
    channel.drain()
    expect(drains).toBe(2)
  })

  it('a message that is too large to be sent -> fails, definite; the connection stays open', async () => {
    const payload = [new Uint8Array(MESSAGE_MAX_BYTES)]
    const answer = connection.request(produce, produceBody, { timeoutMs: 1_000, payload })
    await expect(answer).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE', definite: true })
    expect(() => connection.notify(produce, produceBody, payload)).toThrow(VltavaError)
    expect([connection.isOpen, connection.requestsInFlight, channel.sent.length]).toEqual([true, 0, 0])
  })

  it('versions: what the other end does not know is not asked, older versions are spoken', async () => {
    connection.learnVersions(new Map([[fetch.key, 5]]))
    const unknown = connection.request(createTopic, topic, { timeoutMs: 1_000 })
    await expect(unknown).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION', definite: true })
    await expect(unknown).rejects.toThrow('create-topic')
    for (const version of [0, 3, 7]) connection.notify({ ...fetch, version }, fetchBody)
    expect(channel.takeFrames().map(({ apiVersion }) => apiVersion)).toEqual([0, 3, 5])
  })

  it('accepted side: before the hello -> small headers only; afterwards the full limits', () => {
    dial('accepted')
    expect([connection.session, connection.identity]).toEqual(['new', null])
    expect(channel.messageMaxBytes).toBe(MESSAGE_UNAUTHENTICATED_MAX_BYTES)
    channel.deliver({ body: 'x'.repeat(HEADER_UNAUTHENTICATED_MAX_BYTES) })
    expect(channel.endings.map(({ code }) => code)).toEqual([4_001])
    dial('accepted')
    connection.admit()
    expect([connection.session, channel.messageMaxBytes]).toEqual(['client', MESSAGE_MAX_BYTES])
    channel.deliver({ kind: 1, body: 'x'.repeat(HEADER_UNAUTHENTICATED_MAX_BYTES) })
    expect(connection.lateResponses).toBe(1)
    channel.deliver({ kind: 1, body: 'x'.repeat(HEADER_MAX_BYTES - 20) })
    expect(connection.lateResponses).toBe(2)
  })

  it('SEC-30: a proven identity -> cannot be proved again or changed, and not before the hello', () => {
    dial('accepted')
    const identity = { nodeId: 2, incarnationId: 'I'.repeat(22) }
    expect(() => connection.proveIdentity(identity)).toThrow('after the hello')
    connection.admit()
    expect(() => connection.admit()).toThrow('once')
    connection.proveIdentity(identity)
    expect([connection.session, connection.identity]).toEqual(['peer', identity])
    expect(() => connection.proveIdentity({ ...identity, nodeId: 3 })).toThrow()
    expect(connection.identity).toEqual(identity)
  })

  it('SEC-57: an answer given after the connection has closed -> is dropped silently', async () => {
    const router = new Router(log)
    let answer = (): void => {}
    router.handle(
      fetch,
      () =>
        new Promise(
          (resolve) => (answer = () => resolve({ body: { ...NO_SESSION_ANSWER, partitions: [] } })),
        ),
    )
    channel = new FakeChannel()
    connection = new Connection({ channel, router, clock, log, side: 'dialed' })
    channel.deliver({ apiKey: fetch.key, body: [0, 0, 1, []] })
    channel.gone()
    answer()
    await settle(clock)
    expect([channel.sent, log.events]).toEqual([[], []])
  })
})

const topic = { name: 't', partitions: 1, replicationFactor: null, configs: [], observers: 0, timeoutMs: 0 }
