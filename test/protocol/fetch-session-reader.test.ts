import { describe, expect, it } from 'vitest'
import { partitionKey, partitionOfKey } from '../../src/model/ids.ts'
import { endsStatement } from '../../src/protocol/fetch-session.ts'
import { FetchSessionReader, type SessionRequest } from '../../src/protocol/fetch-session-reader.ts'

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA'
const keyOf = (partition: number): string => partitionKey(TOPIC, partition)
const [A, B, C] = [keyOf(0), keyOf(1), keyOf(2)] as const

interface Reading {
  readonly reader: FetchSessionReader<number>
  readonly positions: Map<string, number | null>
  readonly next: () => SessionRequest<number>
}

function reading(
  keys: readonly string[],
  limits: { sessionPartitionsMax?: number; requestPartitionsMax?: number } = {},
): Reading {
  const reader = new FetchSessionReader<number>({ id: 1, isSame: (a, b) => a === b, ...limits })
  const positions = new Map<string, number | null>(keys.map((key) => [key, 0]))
  for (const key of keys) reader.add(key)
  return { reader, positions, next: () => reader.next((key) => positions.get(key) ?? null) }
}

const stated = (request: SessionRequest<number>): readonly string[] => request.stated.map(({ key }) => key)

/** The answer of a broker that keeps sessions: about these partitions, of which some got records. */
function about(keys: readonly string[], ends: readonly string[] = []) {
  return { sessionId: 1, about: keys.map(partitionOfKey), ends: keys.map((key) => ends.includes(key)) }
}

function plain(request: SessionRequest<number>, served: readonly string[] = []) {
  return { sessionId: null, about: [], ends: request.stated.map(({ key }) => served.includes(key)) }
}

/** The session of A, B and C is open, and the broker has answered about all of them. */
function opened(): Reading {
  const of = reading([A, B, C])
  const first = of.next()
  of.reader.answered(first, about([A, B, C]))
  return of
}

describe('FetchSessionReader with a broker that keeps sessions', () => {
  it('the first request -> epoch 0 and all partitions; the next one -> epoch 1 and none', () => {
    const { reader, next } = reading([A, B, C])
    const first = next()
    expect([first.session, stated(first)]).toEqual([{ id: 1, epoch: 0 }, [A, B, C]])
    reader.answered(first, about([]))
    const second = next()
    expect([second.session, stated(second), second.forgotten]).toEqual([{ id: 1, epoch: 1 }, [], []])
  })

  it('a partition got records -> stated again where it is now', () => {
    const { reader, positions, next } = opened()
    const request = next()
    expect(reader.answered(request, about([B], [B]))).toEqual([{ key: B, statement: 0 }])
    positions.set(B, null)
    expect(reader.hasNews((key) => positions.get(key) ?? null)).toBe(false)
    expect(stated(next())).toEqual([])
    positions.set(B, 7)
    expect(next().stated).toEqual([{ key: B, statement: 7 }])
  })

  it('an answer without records, and nothing changed -> not stated again', () => {
    const { reader, next } = opened()
    reader.answered(next(), about([A, C]))
    expect(stated(next())).toEqual([])
  })

  it('touched: it waits for a request, and is stated where it says something else now', () => {
    const { reader, positions, next } = opened()
    reader.touched(A)
    reader.touched(B)
    positions.set(A, 1)
    expect(reader.hasNews((key) => positions.get(key) ?? null)).toBe(false)
    expect(next().stated).toEqual([{ key: A, statement: 1 }])
  })

  it('REP-41: stated anew while an answer is under way -> that answer is about what was said before, and dropped', () => {
    const { reader, positions, next } = opened()
    const before = next()
    positions.set(A, 4)
    reader.changed(A)
    const after = next()
    expect(stated(after)).toEqual([A])
    expect(reader.answered(before, about([A, B], [A]))).toEqual([null, { key: B, statement: 0 }])
    expect(reader.answered(after, about([A], [A]))).toEqual([{ key: A, statement: 4 }])
  })

  it('removed while an answer is under way -> dropped, and forgotten with the next request', () => {
    const { reader, next } = opened()
    const request = next()
    reader.remove(B)
    expect(reader.answered(request, about([B], [B]))).toEqual([null])
    expect(next().forgotten).toEqual([partitionOfKey(B)])
    expect(next().forgotten).toEqual([])
  })

  it('removed after its statement had ended -> forgotten as well: the broker remembers it', () => {
    const { reader, next } = opened()
    reader.answered(next(), about([B], [B]))
    reader.remove(B)
    expect(next().forgotten).toEqual([partitionOfKey(B)])
    expect(next().forgotten).toEqual([])
  })

  it('removed and added again -> stated, not forgotten', () => {
    const { reader, next } = opened()
    reader.remove(B)
    reader.add(B)
    const request = next()
    expect([stated(request), request.forgotten]).toEqual([[B], []])
  })

  it('a request fails -> the session begins anew with all partitions, and late answers say nothing', () => {
    const { reader, next } = opened()
    const [lost, late] = [next(), next()]
    reader.failed(lost)
    const again = next()
    expect([again.session, stated(again)]).toEqual([{ id: 1, epoch: 0 }, [A, B, C]])
    expect(reader.answered(late, about([A], [A]))).toEqual([null])
    reader.failed(late)
    expect(reader.answered(again, about([A]))).toEqual([{ key: A, statement: 0 }])
    expect(next().session).toEqual({ id: 1, epoch: 1 })
  })

  it('an answer that does not fit -> nothing of it is used, and the session begins anew', () => {
    for (const answer of [
      { sessionId: 2, about: [], ends: [] },
      { sessionId: 1, about: [partitionOfKey(A)], ends: [] },
      { sessionId: null, about: [], ends: [] },
    ]) {
      const { reader, next } = opened()
      const request = next()
      expect(reader.answered(request, answer)).toBeNull()
      expect(next().session?.epoch).toBe(0)
    }
  })

  it('beside a first request without an answer -> a request without a session, about what is new alone', () => {
    const { reader, positions, next } = reading([A])
    const first = next()
    reader.add(B)
    positions.set(B, 0)
    const beside = next()
    expect([beside.session, stated(beside)]).toEqual([null, [B]])
    reader.answered(first, about([A]))
    expect(reader.isOpen).toBe(true)
    reader.answered(beside, plain(beside))
    const joined = next()
    expect([joined.session, stated(joined)]).toEqual([{ id: 1, epoch: 1 }, [B]])
  })

  it('more partitions than a session may have -> without one, in rotation', () => {
    const { reader, next } = reading([A, B, C], { sessionPartitionsMax: 2, requestPartitionsMax: 2 })
    const first = next()
    expect([first.session, stated(first)]).toEqual([null, [A, B]])
    reader.answered(first, plain(first))
    const second = next()
    expect(stated(second)).toEqual([C, A])
  })
})

describe('FetchSessionReader with a broker that keeps no sessions', () => {
  it('each request is about all partitions, and those that got records come last', () => {
    const { reader, next } = reading([A, B, C])
    const first = next()
    expect(reader.answered(first, plain(first, [A]))).toHaveLength(3)
    const second = next()
    expect([second.session, stated(second)]).toEqual([{ id: 1, epoch: 0 }, [B, C, A]])
  })

  it('a second request beside the first -> about the others, whichever is answered first', () => {
    const { reader, positions, next } = reading([A])
    const first = next()
    reader.add(B)
    positions.set(B, 0)
    const second = next()
    expect(reader.answered(second, plain(second))).toEqual([{ key: B, statement: 0 }])
    expect(reader.answered(first, plain(first))).toEqual([{ key: A, statement: 0 }])
    expect(stated(next())).toEqual([B, A])
  })
})

describe('endsStatement', () => {
  const nothing = { error: null, diverging: null, batchesBytes: 0 }
  it.each([
    ['bounds alone', nothing, false],
    ['records', { ...nothing, batchesBytes: 1 }, true],
    ['an error', { ...nothing, error: {} }, true],
    ['a divergence', { ...nothing, diverging: {} }, true],
  ] as const)('%s', (_, answer, ends) => {
    expect(endsStatement(answer)).toBe(ends)
  })
})
