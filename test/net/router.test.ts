import { beforeEach, describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { type Deferred, deferred } from '../../src/base/async/deferred.ts'
import { ERRORS } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { MESSAGE_MAX_BYTES, REQUESTS_IN_FLIGHT_MAX } from '../../src/model/limits.ts'
import { Connection } from '../../src/net/connection.ts'
import { type Answer, Router } from '../../src/net/router.ts'
import type { AnyApi } from '../../src/protocol/api.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import { fetchMetadata } from '../../src/protocol/broker-lifecycle.ts'
import { metadataChanged } from '../../src/protocol/cluster-metadata.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { hello } from '../../src/protocol/hello.ts'
import { produce } from '../../src/protocol/produce.ts'
import { replicaFetch } from '../../src/protocol/replica-fetch.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { NO_SESSION, NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { FakeChannel } from './fake-channel.ts'
import { settle } from './settle.ts'

const FETCH = { apiKey: fetch.key, body: [0, 0, 1, []] }
const PRODUCE = { apiKey: produce.key, body: [-1, 0, []] }
const IDENTITY = { nodeId: 2, incarnationId: 'I'.repeat(22) }
const EMPTY = { body: { ...NO_SESSION_ANSWER, partitions: [] } }

describe('router', () => {
  let clock: ManualClock
  let log: RecordingLog
  let router: Router
  let channel: FakeChannel
  let connection: Connection

  const accept = (session: 'new' | 'client' | 'peer' = 'client'): void => {
    channel = new FakeChannel()
    connection = new Connection({ channel, router, clock, log, side: 'accepted' })
    if (session !== 'new') connection.admit()
    if (session === 'peer') connection.proveIdentity(IDENTITY)
  }

  /** Number, error code and body of what was answered since the last call. */
  const answers = (): unknown[] =>
    channel.takeFrames().map(({ kind, correlationId, errorCode, body }) => {
      expect(kind).toBe(1)
      return [correlationId, errorCode, body]
    })

  beforeEach(() => {
    clock = new ManualClock()
    log = new RecordingLog()
    router = new Router(log)
    accept()
  })

  it('a handler that answers at once -> the response goes out in the same turn, with its payload', () => {
    router.handle(fetch, (call) => {
      expect(call.connection).toBe(connection)
      expect(call.body).toEqual({ ...NO_SESSION, maxWaitMs: 0, minBytes: 0, maxBytes: 1, partitions: [] })
      return { ...EMPTY, payload: [Uint8Array.of(1), Uint8Array.of(2, 3)] }
    })
    channel.deliver({ ...FETCH, correlationId: 77 })
    const [response] = channel.takeFrames()
    expect(response).toMatchObject({
      kind: 1,
      apiKey: fetch.key,
      apiVersion: 0,
      correlationId: 77,
      errorCode: 0,
    })
    expect(response!.body).toEqual([[], null, []])
    expect([...response!.payload]).toEqual([1, 2, 3])
  })

  it('a handler that parks -> others are answered before it', async () => {
    const parked: Deferred<Answer<typeof fetch>> = deferred()
    router.handle(fetch, () => parked.promise)
    router.handle(produce, ({ payload }) => {
      expect([...payload]).toEqual([5])
      return EMPTY
    })
    channel.deliver({ ...FETCH, correlationId: 1 })
    channel.deliver({ ...PRODUCE, correlationId: 2 }, Uint8Array.of(5))
    expect(answers()).toEqual([[2, 0, [[]]]])
    parked.resolve(EMPTY)
    await settle(clock)
    expect(answers()).toEqual([[1, 0, [[], null, []]]])
  })

  it('a VltavaError, thrown or rejected -> its code and message go to the caller, no log line', async () => {
    router.handle(fetch, () => {
      throw new VltavaError('OFFSET_OUT_OF_RANGE', 'below the log start')
    })
    router.handle(produce, () => Promise.reject(new VltavaError('NOT_ENOUGH_REPLICAS', '1 of 2')))
    channel.deliver({ ...FETCH, correlationId: 1 })
    channel.deliver({ ...PRODUCE, correlationId: 2 })
    await settle(clock)
    expect(answers()).toEqual([
      [1, ERRORS.OFFSET_OUT_OF_RANGE.code, 'below the log start'],
      [2, ERRORS.NOT_ENOUGH_REPLICAS.code, '1 of 2'],
    ])
    expect(log.events).toEqual([])
    expect(connection.isOpen).toBe(true)
  })

  it('SEC-37: any other error -> UNKNOWN_SERVER_ERROR without its message, which is logged', async () => {
    router.handle(fetch, () => {
      throw new TypeError('secret path /etc')
    })
    router.handle(produce, () => Promise.reject(new Error('secret')))
    channel.deliver({ ...FETCH, correlationId: 1 })
    channel.deliver({ ...PRODUCE, correlationId: 2 })
    await settle(clock)
    expect(answers()).toEqual([
      [1, -1, ERRORS.UNKNOWN_SERVER_ERROR.message],
      [2, -1, ERRORS.UNKNOWN_SERVER_ERROR.message],
    ])
    expect(log.named('request-failed').map(({ fields }) => fields['api'])).toEqual(['fetch', 'produce'])
  })

  it('SEC-57: an AssertionError of a handler -> goes on to whoever runs the process', () => {
    router.handle(fetch, () => {
      throw new AssertionError('broken')
    })
    expect(() => channel.deliver(FETCH)).toThrow(AssertionError)
    expect(channel.sent).toEqual([])
  })

  it('an answer that cannot be encoded or sent -> an error response', () => {
    router.handle(fetch, () => ({ ...EMPTY, payload: [new Uint8Array(MESSAGE_MAX_BYTES)] }))
    router.handle(produce, () => ({ body: {} as never }))
    channel.deliver({ ...FETCH, correlationId: 1 })
    channel.deliver({ ...PRODUCE, correlationId: 2 })
    expect(answers()).toMatchObject([
      [1, ERRORS.MESSAGE_TOO_LARGE.code, expect.stringContaining('bytes')],
      [2, -1, ERRORS.UNKNOWN_SERVER_ERROR.message],
    ])
  })

  it('SEC-16: a body that breaks its schema -> INVALID_REQUEST with the path, no handler runs', () => {
    let calls = 0
    router.handle(fetch, () => {
      calls++
      return EMPTY
    })
    channel.deliver({ apiKey: fetch.key, correlationId: 1, body: [0, 0, -1, []] })
    channel.deliver({ apiKey: fetch.key, correlationId: 2, body: 'text' })
    expect(answers()).toMatchObject([
      [1, ERRORS.INVALID_REQUEST.code, expect.stringContaining('fetch.maxBytes')],
      [2, ERRORS.INVALID_REQUEST.code, expect.stringContaining('fetch')],
    ])
    expect([calls, connection.isOpen]).toEqual([0, true])
  })

  it('SEC-17: an unknown API, one without a handler here, a newer version -> UNSUPPORTED_VERSION', () => {
    router.handle(fetch, () => EMPTY)
    channel.deliver({ apiKey: 999, correlationId: 1 })
    channel.deliver({ ...PRODUCE, correlationId: 2 })
    channel.deliver({ ...FETCH, correlationId: 3, apiVersion: 1 })
    const { code } = ERRORS.UNSUPPORTED_VERSION
    expect(answers()).toMatchObject([
      [1, code, expect.stringContaining('API 999 is not known')],
      [2, code, expect.stringContaining('does not serve produce')],
      [3, code, expect.stringContaining('version 1')],
    ])
  })

  it('one-way messages -> the handler runs, nothing is answered, failures are counted', async () => {
    const seen: unknown[] = []
    router.handle(produce, ({ body }) => {
      seen.push(body.acks)
      return null
    })
    router.handle(fetch, () => Promise.reject(new VltavaError('STORAGE_ERROR')))
    channel.deliver({ kind: 2, apiKey: produce.key, correlationId: 0, body: [0, 0, []] })
    channel.deliver({ kind: 2, apiKey: produce.key, correlationId: 0, body: ['bad', 0, []] })
    channel.deliver({ kind: 2, ...FETCH })
    channel.deliver({ kind: 2, apiKey: 999 })
    await settle(clock)
    expect(seen).toEqual([0])
    expect(channel.sent).toEqual([])
    expect([router.droppedCalls, connection.isOpen]).toEqual([3, true])
  })

  it('a request that has no response (produce with acks 0) -> INVALID_REQUEST: send it one-way', () => {
    router.handle(produce, () => null)
    channel.deliver({ ...PRODUCE, correlationId: 9 })
    expect(answers()).toMatchObject([[9, ERRORS.INVALID_REQUEST.code, expect.stringContaining('one-way')]])
  })

  it('a one-way API called as a request -> INVALID_REQUEST, the handler does not run', () => {
    router.handle(metadataChanged, () => {
      throw new AssertionError('must not run')
    })
    channel.deliver({ apiKey: metadataChanged.key, correlationId: 1, body: [1, []] })
    expect(answers()).toMatchObject([[1, ERRORS.INVALID_REQUEST.code, expect.stringContaining('one-way')]])
  })

  it('SEC-17, SEC-40: 10^4 requests of one connection that all park -> REQUESTS_IN_FLIGHT_MAX are served', async () => {
    const parked: Deferred<Answer<typeof fetch>>[] = []
    router.handle(fetch, () => {
      parked.push(deferred())
      return parked.at(-1)!.promise
    })
    for (let i = 1; i <= 10_000; i++) channel.deliver({ ...FETCH, correlationId: i })
    expect(parked.length).toBe(REQUESTS_IN_FLIGHT_MAX)
    const refused = channel.takeFrames()
    expect(refused.length).toBe(10_000 - REQUESTS_IN_FLIGHT_MAX)
    expect(refused.every(({ errorCode }) => errorCode === ERRORS.SERVER_BUSY.code)).toBe(true)
    parked[0]!.resolve(EMPTY)
    parked[1]!.reject(new VltavaError('STORAGE_ERROR'))
    await settle(clock)
    // The two places are free again, and only those.
    for (let i = 1; i <= 3; i++) channel.deliver({ ...FETCH, correlationId: 20_000 + i })
    expect(parked.length).toBe(REQUESTS_IN_FLIGHT_MAX + 2)
  })

  it('SEC-17: the same request id again while the first is parked -> both are answered', async () => {
    const parked: Deferred<Answer<typeof fetch>> = deferred()
    router.handle(fetch, () => parked.promise)
    channel.deliver({ ...FETCH, correlationId: 1 })
    channel.deliver({ ...FETCH, correlationId: 1 })
    parked.resolve(EMPTY)
    await settle(clock)
    expect(answers().length).toBe(2)
  })

  it('a handler twice, or for an API outside of the table -> a bug', () => {
    router.handle(fetch, () => EMPTY)
    expect(() => router.handle(fetch, () => EMPTY)).toThrow(AssertionError)
    expect(() => router.handle({ ...produce }, () => EMPTY)).toThrow('not in the table')
  })

  it('closeAfterError: an error of a step of the handshake -> is answered, then the connection closes', () => {
    accept('new')
    router.handle(
      hello,
      () => {
        throw new VltavaError('INCONSISTENT_CLUSTER_ID', 'other cluster')
      },
      { closeAfterError: 'REFUSED' },
    )
    channel.deliver({ apiKey: hello.key, correlationId: 1, body: ['x', null, null] })
    expect(answers()).toEqual([[1, ERRORS.INCONSISTENT_CLUSTER_ID.code, 'other cluster']])
    expect(channel.endings.map(({ code }) => code)).toEqual([4_004])
  })

  describe('who may call', () => {
    const serveEverything = (): AnyApi[] => {
      const called: AnyApi[] = []
      for (const api of APIS) {
        router.handle(api, () => {
          called.push(api)
          return null
        })
      }
      return called
    }
    const peerApis = APIS.filter(({ caller }) => caller === 'peer')

    it('SEC-29: every API -> is served to exactly the sessions its row of this table names', () => {
      const client = ['client', 'peer']
      const peer = ['peer']
      const sessionsOf: Readonly<Record<string, readonly string[]>> = {
        hello: ['new', 'client', 'peer'],
        produce: client,
        fetch: client,
        'list-offsets': client,
        'cluster-metadata': client,
        'metadata-changed': client,
        'create-topic': client,
        'delete-topic': client,
        'delete-records': client,
        'elect-leaders': client,
        'alter-configs': client,
        'describe-configs': client,
        'read-metadata-log': client,
        'describe-replicas': client,
        'change-replica-role': client,
        'alter-partition-reassignments': client,
        'list-partition-reassignments': client,
        'create-partitions': client,
        'describe-quorum': client,
        'add-voter': client,
        'remove-voter': client,
        'transfer-controller': client,
        'cordon-broker': client,
        'unregister-broker': client,
        authenticate: client,
        'replica-fetch': peer,
        'flushed-note': peer,
        'high-watermark-note': peer,
        'alter-partition': peer,
        'register-broker': peer,
        'broker-heartbeat': peer,
        'fetch-metadata': peer,
        'fetch-snapshot': peer,
        'replica-read': peer,
        'quorum-probe': peer,
        'find-controller': peer,
        'raft-message': peer,
      }
      expect(APIS.map(({ name }) => name).sort()).toEqual(Object.keys(sessionsOf).sort())
      const called = serveEverything()
      for (const { name, key } of APIS) {
        for (const session of ['new', 'client', 'peer'] as const) {
          accept(session)
          // Never a valid body: an API that may be called complains about it, or that it is one-way.
          channel.deliver({ kind: 0, apiKey: key, body: 'no struct' })
          const [answer] = channel.takeFrames()
          const isRefused = answer!.errorCode === ERRORS.CLUSTER_AUTHORIZATION_FAILED.code
          expect([name, session, isRefused]).toEqual([name, session, !sessionsOf[name]!.includes(session)])
          expect(answer!.errorCode).not.toBe(0)
        }
      }
      expect(called).toEqual([])
    })

    it('SEC-30, SEC-31: every peer API from a client -> CLUSTER_AUTHORIZATION_FAILED, no handler runs', () => {
      const called = serveEverything()
      expect(peerApis.length).toBeGreaterThanOrEqual(10)
      for (const api of peerApis) {
        channel.deliver({ kind: 0, apiKey: api.key, correlationId: 5 })
        const refused = answers()
        expect(refused, api.name).toEqual([[5, ERRORS.CLUSTER_AUTHORIZATION_FAILED.code, expect.any(String)]])
        channel.deliver({ kind: 2, apiKey: api.key, correlationId: 0 })
        expect(channel.sent).toEqual([])
      }
      expect(called).toEqual([])
      expect(router.refusedCalls).toBe(2 * peerApis.length)
      expect([connection.isOpen, connection.session, connection.identity]).toEqual([true, 'client', null])
    })

    it('SEC-31: peer APIs this node does not serve -> are refused to a client in the same way', () => {
      channel.deliver({ kind: 0, apiKey: fetchMetadata.key, correlationId: 5 })
      expect(answers()).toMatchObject([[5, ERRORS.CLUSTER_AUTHORIZATION_FAILED.code, expect.any(String)]])
    })

    it('SEC-32: refusal comes before the body is decoded -> a malformed body changes nothing', () => {
      serveEverything()
      for (const body of ['text', [1, 2, 3], null]) {
        channel.deliver({ kind: 0, apiKey: replicaFetch.key, correlationId: 5, body })
        expect(answers()).toMatchObject([[5, ERRORS.CLUSTER_AUTHORIZATION_FAILED.code, expect.any(String)]])
      }
    })

    it('SEC-32: anything but hello on a new connection -> refused and closed, no handler runs', () => {
      const called = serveEverything()
      for (const api of APIS.filter(({ caller }) => caller !== 'anyone')) {
        for (const kind of [0, 2] as const) {
          accept('new')
          channel.deliver({ kind, apiKey: api.key, correlationId: 3 })
          const expected = [3, ERRORS.CLUSTER_AUTHORIZATION_FAILED.code, expect.stringContaining('hello')]
          expect(answers(), api.name).toEqual(kind === 0 ? [expected] : [])
          expect(channel.endings.map(({ code }) => code)).toEqual([4_002])
          channel.deliver({ kind, apiKey: hello.key })
          expect(channel.sent).toEqual([])
        }
      }
      accept('new')
      channel.deliver({ apiKey: 999, correlationId: 3 })
      expect(answers()).toMatchObject([[3, ERRORS.CLUSTER_AUTHORIZATION_FAILED.code, expect.any(String)]])
      expect(called).toEqual([])
    })

    it('a peer -> reaches the peer APIs, and the handler sees its identity', () => {
      accept('peer')
      router.handle(fetchMetadata, ({ connection: caller }) => {
        expect(caller.identity).toEqual(IDENTITY)
        return {
          body: { controllerId: 1, controllerTerm: 1, committedOffset: 0, entries: [], snapshot: null },
        }
      })
      channel.deliver({ apiKey: fetchMetadata.key, correlationId: 4, body: [1, 0, 1] })
      expect(answers()).toEqual([[4, 0, [1, 1, 0, [], null]]])
    })
  })
})
