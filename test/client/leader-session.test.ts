import { describe, expect, it } from 'vitest'
import type { TopicView } from '../../src/client/cluster-view.ts'
import { LeaderSession } from '../../src/client/leader-session.ts'
import { SessionIds } from '../../src/client/session-ids.ts'
import { PartitionState } from '../../src/client/subscription-state.ts'
import { FETCH_SESSIONS_PER_CONNECTION_MAX } from '../../src/model/limits.ts'
import type { Connection } from '../../src/net/connection.ts'

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA'
const topic = { topicId: TOPIC } as unknown as TopicView
const of = { topic, maxPartitionBytes: 2_000 }
const target = (partition: number) => ({ topicId: TOPIC, partition })

function sessionOf(id: number | null = 1) {
  const sent: unknown[] = []
  const connection = { isOpen: true, notify: (_api: unknown, body: unknown) => sent.push(body) }
  const session = new LeaderSession({ brokerId: 1, connection: connection as unknown as Connection, id })
  return { session, sent }
}

function ask(session: LeaderSession, state: PartitionState): void {
  state.underWay = { brokerId: 1, leaderEpoch: 5, fromReplica: false }
  session.ask({ state, underWay: state.underWay }, of)
}

/** Partitions 0 and 1 are watched by the leader, which has confirmed the session. */
function watching() {
  const made = sessionOf()
  const states = [0, 1].map((partition) => new PartitionState(partition, { offset: 7, leaderEpoch: 3 }))
  for (const state of states) ask(made.session, state)
  made.session.answered(made.session.next(), { sessionId: 1, about: [], ends: [] })
  return { ...made, states }
}

const partitionsOf = (request: ReturnType<LeaderSession['next']>): readonly number[] =>
  request.stated.map(({ statement }) => statement.body.partition)

describe('LeaderSession', () => {
  it('what is asked of a partition: offsets, epochs and bounds', () => {
    const { session } = sessionOf()
    ask(session, new PartitionState(0, { offset: 7, leaderEpoch: 3 }))
    expect(session.next().stated.map(({ statement }) => statement.body)).toEqual([
      {
        ...target(0),
        currentLeaderEpoch: 5,
        fetchOffset: 7,
        maxBytes: 2_000,
        lastFetchedEpoch: 3,
        fromReplica: false,
      },
    ])
  })

  it('idle partitions: asked for once', () => {
    const { session } = watching()
    expect(session.isWatching).toBe(true)
    expect(partitionsOf(session.next())).toEqual([])
  })

  it('a partition got records: asked for again, or forgotten where nobody wants more of it now', () => {
    const { session, states } = watching()
    const served = { sessionId: 1, about: [target(1)], ends: [true] }
    const answered = session.answered(session.next(), served)
    expect(answered![0]!.statement.state).toBe(states[1])
    ask(session, states[1]!)
    const next = session.next()
    expect([partitionsOf(next), next.forgotten]).toEqual([[1], []])
    session.answered(next, served)
    states[1]!.underWay = null
    const later = session.next()
    expect([partitionsOf(later), later.forgotten]).toEqual([[], [target(1)]])
    ask(session, states[1]!)
    expect(partitionsOf(session.next())).toEqual([1])
  })

  it('a seek or another leader made a question void: the leader is told that nobody wants it', () => {
    const { session, states } = watching()
    states[0]!.underWay = null
    expect(session.next().forgotten).toEqual([target(0)])
  })

  it('a seek, and it is wanted from there: stated anew, and what comes for the old place is dropped', () => {
    const { session, states } = watching()
    const before = session.next()
    states[0]!.standAt({ offset: 2, leaderEpoch: 1 })
    ask(session, states[0]!)
    const next = session.next()
    expect(next.stated.map(({ statement }) => statement.body.fetchOffset)).toEqual([2])
    expect(next.forgotten).toEqual([])
    expect(session.answered(before, { sessionId: 1, about: [target(0)], ends: [true] })).toEqual([null])
  })

  it('paused: not watched any more, and it can be asked for again', () => {
    const { session, states } = watching()
    states[1]!.isPaused = true
    expect(session.next().forgotten).toEqual([target(1)])
    expect(states[1]!.underWay).toBeNull()
  })

  it('a request fails: nobody answers for what the leader watched', () => {
    const { session, states } = watching()
    expect(session.failed(session.next()).map(({ state }) => state)).toEqual(states)
    expect(session.isWatching).toBe(false)
  })

  it('without a number: no session, each fetch is about all', () => {
    const { session } = sessionOf(null)
    ask(session, new PartitionState(0, 7))
    const request = session.next()
    expect([request.session, partitionsOf(request)]).toEqual([null, [0]])
  })

  it('end: an open session is replaced by one without partitions', () => {
    const open = watching()
    open.session.end()
    expect(open.sent).toMatchObject([{ partitions: [], session: { id: 1, epoch: 0 }, maxWaitMs: 0 }])
    const never = sessionOf()
    never.session.end()
    expect(never.sent).toEqual([])
  })
})

describe('SessionIds', () => {
  it('numbers from 1, none twice, none beyond what a connection takes; one that was given back is taken again', () => {
    const ids = new SessionIds()
    const taken = Array.from({ length: FETCH_SESSIONS_PER_CONNECTION_MAX }, () => ids.take())
    expect(taken).toEqual(Array.from({ length: FETCH_SESSIONS_PER_CONNECTION_MAX }, (_, i) => i + 1))
    expect(ids.take()).toBeNull()
    ids.give(3)
    ids.give(null)
    expect([ids.take(), ids.take()]).toEqual([3, null])
  })
})
