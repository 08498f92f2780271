// Both ends of a fetch session against a leader and a follower that are as simple as can be: whatever happens in between, and
// wherever the connection breaks, the follower ends up with what the leader has.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ParkedFetches } from '../../src/broker/delayed-requests.ts'
import { FetchSessions } from '../../src/broker/fetch-sessions.ts'
import type { Slot } from '../../src/broker/fetch-slots.ts'
import { ServedSession, type SessionKind, type SessionResponse } from '../../src/broker/served-session.ts'
import { partitionKey } from '../../src/model/ids.ts'
import { FETCH_SESSION_REQUESTS_MAX, FETCH_SESSIONS_PER_CONNECTION_MAX } from '../../src/model/limits.ts'
import type { Connection } from '../../src/net/connection.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { endsStatement } from '../../src/protocol/fetch-session.ts'
import { FetchSessionReader, type SessionRequest } from '../../src/protocol/fetch-session-reader.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA'
const PARTITIONS = 4
const MAX_WAIT_MS = 500

interface Position {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  readonly epoch: number
}

interface Led {
  readonly moves: ParkedFetches
  epoch: number
  end: number
  highWatermark: number
  start: number
  /** Stands for the leader role. */
  role: object
}

interface Judged {
  readonly position: Position
  readonly led: Led
  readonly role: object
}

type Response = SessionResponse & { readonly diverging: { readonly endOffset: number } | null }
type Session = ServedSession<Position, Response, Judged>

/** The leader: record n of a log is the byte n. */
class Leader {
  readonly clock = new ManualClock()
  readonly partitions = Array.from({ length: PARTITIONS }, newLed)
  readonly sessions = new FetchSessions<Session>({ partitionsMax: 1_000 })
  /** Reads that wait for the disk. */
  readonly cold: (() => void)[] = []
  isCold = false
  maxBytes = 100
  noted: { readonly partition: number; readonly highWatermark: number }[] = []
  heard: number[] = []
  reads = 0

  fetch(connection: Connection, request: SessionRequest<Position>) {
    const { session, forgotten } = request
    const partitions = request.stated.map(({ statement }) => statement)
    const served = this.sessions.of(connection, { session: session!, partitions }, () =>
      this.begin(session!.id, connection),
    )
    const { maxBytes } = this
    return served!.exchange({ maxWaitMs: MAX_WAIT_MS, minBytes: 1, maxBytes, partitions, session, forgotten })
  }

  begin(id: number, connection: Connection): Session {
    const hasRoomFor = (more: number): boolean => this.sessions.hasRoomFor(more)
    return new ServedSession({ id, connection, environment: this, hasRoomFor, kind: this.#kind() })
  }

  move(partition: number, change: (led: Led) => void): void {
    const led = this.partitions[partition]!
    change(led)
    led.moves.wakeAll()
  }

  #kind(): SessionKind<Position, Response, Judged> {
    return {
      judge: (position) => {
        const led = this.partitions[position.partition]!
        return { position, led, role: led.role }
      },
      sourceOf: ({ role }) => role,
      watched: ({ partition }) => [this.partitions[partition]!.moves],
      maxBytesOf: () => 10,
      read: (judged, limit) => {
        this.reads++
        if (!this.isCold) return this.#read(judged, limit.budget)
        return new Promise<void>((resolve) => this.cold.push(resolve)).then(() =>
          this.#read(judged, limit.budget),
        )
      },
      hasRecords: ({ position, led, role }) => role === led.role && position.offset < led.end,
      heard: ({ position }) => this.heard.push(position.partition),
      note: (notes) => {
        for (const { judged, highWatermark } of notes)
          this.noted.push({ partition: judged.position.partition, highWatermark })
      },
      counted: () => {},
    }
  }

  #read({ position, led, role }: Judged, budget: number): Slot<Response> {
    const { highWatermark, start: logStartOffset, end } = led
    const bounds = { highWatermark, logStartOffset, batchesBytes: 0, diverging: null, error: null }
    if (role !== led.role || position.epoch !== led.epoch) {
      const error = wireError('NOT_LEADER_OR_FOLLOWER')
      return { response: { ...bounds, error }, batches: [], urgent: true }
    }
    if (position.offset > end)
      return { response: { ...bounds, diverging: { endOffset: end } }, batches: [], urgent: true }
    const count = Math.min(end - position.offset, budget, 10)
    if (count <= 0) return { response: bounds, batches: [], urgent: false }
    const bytes = Uint8Array.from({ length: count }, (_, i) => (position.offset + i) % 256)
    return { response: { ...bounds, batchesBytes: count }, batches: [bytes], urgent: false }
  }
}

function newLed(): Led {
  return { moves: new ParkedFetches(), epoch: 1, end: 0, highWatermark: 0, start: 0, role: {} }
}

/** A connection, as far as sessions care. */
class Link {
  readonly #hooks = new Set<() => void>()
  isOpen = true

  get asConnection(): Connection {
    return this as unknown as Connection
  }

  onClose(callback: () => void): () => void {
    this.#hooks.add(callback)
    return () => this.#hooks.delete(callback)
  }

  close(): void {
    this.isOpen = false
    for (const hook of [...this.#hooks]) hook()
  }
}

interface Followed {
  offset: number
  epoch: number
  highWatermark: number
  start: number
}

class Follower {
  readonly leader: Leader
  readonly reader = new FetchSessionReader<Position>({
    id: 1,
    isSame: (a, b) => a.offset === b.offset && a.epoch === b.epoch,
  })
  readonly followed = new Map<number, Followed>()
  link = new Link()
  inFlight = 0
  /** The last request and what the answer to it was about, by number. */
  lastStated = 0
  lastAbout = 0

  constructor(leader: Leader) {
    this.leader = leader
    for (let partition = 0; partition < PARTITIONS; partition++) this.add(partition)
  }

  add(partition: number): void {
    this.followed.set(partition, { offset: 0, epoch: 1, highWatermark: -1, start: -1 })
    this.reader.add(partitionKey(TOPIC, partition))
  }

  remove(partition: number): void {
    this.followed.delete(partition)
    this.reader.remove(partitionKey(TOPIC, partition))
  }

  /** Sends a request, if there may be one. */
  send(): void {
    if (this.inFlight >= 2) return
    // Only a session is of interest here; without one its reader has a test of its own.
    if (this.inFlight > 0 && !this.reader.isOpen) return
    const { link } = this
    const request = this.reader.next((key) => this.#position(Number(key.split('/')[1])))
    this.lastStated = request.stated.length
    this.inFlight++
    Promise.resolve()
      .then(() => this.leader.fetch(link.asConnection, request))
      .then(({ body, payload }) => {
        this.inFlight--
        if (link.isOpen) this.#take(request, body, payload[0] === undefined ? [] : payload)
        else this.reader.failed(request)
      })
      .catch(() => {
        this.inFlight--
        this.reader.failed(request)
      })
  }

  reconnect(): void {
    this.link.close()
    this.link = new Link()
    this.reader.reset()
  }

  takeNotes(): void {
    for (const { partition, highWatermark } of this.leader.noted) {
      const followed = this.followed.get(partition)
      // As a follower does: a note may be taken here before an answer that was sent earlier.
      if (followed !== undefined) followed.highWatermark = Math.max(followed.highWatermark, highWatermark)
    }
    this.leader.noted = []
  }

  #position(partition: number): Position | null {
    const followed = this.followed.get(partition)
    if (followed === undefined) return null
    return { topicId: TOPIC, partition, offset: followed.offset, epoch: followed.epoch }
  }

  #take(
    request: SessionRequest<Position>,
    body: {
      readonly sessionId: number | null
      readonly about: readonly { readonly topicId: string; readonly partition: number }[]
      readonly partitions: readonly Response[]
    },
    payload: readonly Uint8Array[],
  ): void {
    this.takeNotes()
    const { about, sessionId, partitions } = body
    this.lastAbout = about.length
    const bytes = payload.flatMap((batch) => [...batch])
    const answered = this.reader.answered(request, { about, sessionId, ends: partitions.map(endsStatement) })
    for (const [i, response] of partitions.entries()) {
      const records = bytes.splice(0, response.batchesBytes)
      const one = answered?.[i] ?? null
      if (one === null) continue
      const { partition, offset, epoch } = one.statement
      // The safety of it all: what comes begins where the statement says.
      if (records.length > 0) expect(records[0]).toBe(offset % 256)
      const followed = this.followed.get(partition)
      if (followed?.offset !== offset || followed.epoch !== epoch) continue
      if (response.error !== null) followed.epoch = this.leader.partitions[partition]!.epoch
      else {
        followed.highWatermark = Math.max(followed.highWatermark, response.highWatermark)
        followed.start = response.logStartOffset
        followed.offset = response.diverging?.endOffset ?? offset + records.length
      }
      this.reader.changed(one.key)
    }
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve()
}

type Step =
  | {
      readonly kind: 'append' | 'commit' | 'trim' | 'elect' | 'cut' | 'leave' | 'join'
      readonly partition: number
    }
  | { readonly kind: 'send' | 'time' | 'reconnect' | 'cold' | 'disk' | 'settle' | 'narrow' | 'touch' }

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('append', 'commit', 'trim', 'elect', 'cut', 'leave', 'join' as const),
      partition: fc.nat(PARTITIONS - 1),
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'send',
        'send',
        'settle',
        'settle',
        'time',
        'disk',
        'cold',
        'narrow',
        'touch',
        'reconnect' as const,
      ),
    }) as fc.Arbitrary<Step>,
  },
)

async function run(leader: Leader, follower: Follower, step: Step): Promise<void> {
  switch (step.kind) {
    case 'append':
      return leader.move(step.partition, (led) => led.end++)
    case 'commit':
      return leader.move(step.partition, (led) => Object.assign(led, { highWatermark: led.end }))
    case 'trim':
      return leader.move(step.partition, (led) => Object.assign(led, { start: led.highWatermark }))
    // Another leader, perhaps with a shorter log.
    case 'elect':
      return leader.move(step.partition, (led) => {
        Object.assign(led, { epoch: led.epoch + 1, end: Math.max(led.highWatermark, led.end - 1), role: {} })
      })
    case 'cut': {
      const followed = follower.followed.get(step.partition)
      if (followed !== undefined) followed.offset = Math.max(0, followed.offset - 1)
      return follower.reader.changed(partitionKey(TOPIC, step.partition))
    }
    case 'leave':
      return follower.remove(step.partition)
    case 'join':
      return follower.followed.has(step.partition) ? undefined : follower.add(step.partition)
    case 'send':
      return follower.send()
    case 'time':
      return leader.clock.advance(MAX_WAIT_MS)
    case 'reconnect':
      return follower.reconnect()
    case 'cold':
      leader.isCold = !leader.isCold
      return
    case 'narrow':
      leader.maxBytes = leader.maxBytes === 100 ? 2 : 100
      return
    case 'touch':
      for (const partition of follower.followed.keys())
        follower.reader.touched(partitionKey(TOPIC, partition))
      return
    case 'disk':
      for (const read of leader.cold.splice(0)) read()
      return
    case 'settle':
      return settle()
  }
}

/** Lets both ends work until nothing is left to say. */
async function untilQuiet(leader: Leader, follower: Follower): Promise<void> {
  leader.isCold = false
  for (let round = 0; round < 60; round++) {
    for (const read of leader.cold.splice(0)) read()
    await settle()
    follower.send()
    await settle()
    leader.clock.advance(MAX_WAIT_MS)
    await settle()
    follower.takeNotes()
  }
}

describe('a fetch session', () => {
  it('REP-41: whatever happens, in any order -> the follower ends up with what the leader has, and then costs nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { minLength: 1, maxLength: 60 }), async (steps) => {
        const leader = new Leader()
        const follower = new Follower(leader)
        for (const step of steps) await run(leader, follower, step)
        await untilQuiet(leader, follower)
        for (const [partition, followed] of follower.followed) {
          const { end, epoch, highWatermark, start } = leader.partitions[partition]!
          expect(followed).toEqual({ offset: end, epoch, highWatermark, start })
        }
        expect([follower.lastStated, follower.lastAbout]).toEqual([0, 0])
        expect(leader.sessions.partitions).toBe(follower.followed.size)
      }),
      { numRuns: 500 },
    )
  })

  it('an idle partition -> no move of another one makes anybody look at it', async () => {
    const leader = new Leader()
    const follower = new Follower(leader)
    await untilQuiet(leader, follower)
    follower.send()
    await settle()
    leader.move(0, (led) => led.end++)
    await settle()
    expect([follower.lastAbout, follower.followed.get(0)!.offset]).toEqual([1, 1])
  })

  it('REP-39: a partition moved -> the next request says that its follower is alive', async () => {
    const leader = new Leader()
    const follower = new Follower(leader)
    await untilQuiet(leader, follower)
    leader.heard = []
    leader.move(2, () => {})
    follower.send()
    await settle()
    expect(leader.heard).toEqual([2])
  })

  it('a high watermark moves while the fetch is parked -> noted at once, and not told again', async () => {
    const leader = new Leader()
    const follower = new Follower(leader)
    leader.move(1, (led) => Object.assign(led, { end: 4 }))
    await untilQuiet(leader, follower)
    follower.send()
    await settle()
    leader.move(1, (led) => Object.assign(led, { highWatermark: 4 }))
    expect(leader.noted).toEqual([{ partition: 1, highWatermark: 4 }])
    leader.clock.advance(MAX_WAIT_MS)
    await settle()
    expect(follower.lastAbout).toBe(0)
  })
})

describe('FetchSessions', () => {
  const request = (epoch: number, id = 1): SessionRequest<Position> => ({
    number: epoch,
    session: { id, epoch },
    stated: [],
    forgotten: [],
  })

  it('SEC-45: the connection ends -> its sessions are gone, and nothing of them waits', async () => {
    const leader = new Leader()
    const follower = new Follower(leader)
    follower.send()
    await settle()
    expect([leader.sessions.count, leader.sessions.partitions, leader.sessions.parked]).toEqual([1, 4, 1])
    const { reads } = leader
    follower.link.close()
    await settle()
    expect(leader.reads).toBe(reads)
    expect([leader.sessions.count, leader.sessions.partitions, leader.clock.pendingTimers]).toEqual([0, 0, 0])
  })

  /** Nobody waits for its answer. */
  function parked(answer: unknown): void {
    expect(answer).toBeInstanceOf(Promise)
  }

  it('an unknown session, or one on another connection -> FETCH_SESSION_ID_NOT_FOUND', () => {
    const leader = new Leader()
    const link = new Link()
    expect(() => leader.fetch(link.asConnection, request(1))).toThrow(
      expect.objectContaining({ code: 'FETCH_SESSION_ID_NOT_FOUND' }),
    )
    parked(leader.fetch(link.asConnection, request(0)))
    expect(() => leader.fetch(new Link().asConnection, request(1))).toThrow(
      expect.objectContaining({ code: 'FETCH_SESSION_ID_NOT_FOUND' }),
    )
  })

  it('an epoch is repeated or left out -> INVALID_FETCH_SESSION_EPOCH, and the session is over', async () => {
    for (const wrong of [2, 3]) {
      const leader = new Leader()
      const link = new Link()
      const first = leader.fetch(link.asConnection, request(0))
      const second = wrong === 2 ? null : leader.fetch(link.asConnection, request(1))
      const refused = Promise.resolve(leader.fetch(link.asConnection, request(wrong)))
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_FETCH_SESSION_EPOCH' })
      await Promise.all([first, second])
      expect(leader.sessions.partitions).toBe(0)
    }
  })

  it('SEC-45: more sessions of one connection than it may have, or no room for partitions -> none', () => {
    const leader = new Leader()
    const { asConnection } = new Link()
    for (let id = 1; id <= FETCH_SESSIONS_PER_CONNECTION_MAX; id++)
      parked(leader.fetch(asConnection, request(0, id)))
    const begin = (): Session => leader.begin(1, asConnection)
    const beyond = { session: { id: FETCH_SESSIONS_PER_CONNECTION_MAX + 1, epoch: 0 }, partitions: [] }
    expect(leader.sessions.of(asConnection, beyond, begin)).toBeNull()
    const large = { session: { id: 1, epoch: 0 }, partitions: { length: 1_001 } }
    expect(leader.sessions.of(new Link().asConnection, large, begin)).toBeNull()
  })

  it('SEC-45: requests of one session pile up -> refused, and the session is over', async () => {
    const leader = new Leader()
    leader.isCold = true
    const { asConnection } = new Link()
    const position = { topicId: TOPIC, partition: 0, offset: 0, epoch: 1 }
    const stated = [{ key: partitionKey(TOPIC, 0), statement: position }]
    const answers: unknown[] = [leader.fetch(asConnection, { ...request(0), stated })]
    for (let epoch = 1; epoch <= FETCH_SESSION_REQUESTS_MAX; epoch++)
      answers.push(leader.fetch(asConnection, request(epoch)))
    const last = FETCH_SESSION_REQUESTS_MAX + 1
    expect(() => leader.fetch(asConnection, request(last))).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    )
    for (const read of leader.cold.splice(0)) read()
    const settled = await Promise.allSettled(answers)
    expect(settled.slice(1).every(({ status }) => status === 'rejected')).toBe(true)
  })
})
