import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createNodeDigest } from '../../../src/platform/node/node-digest.ts'
import { Trace } from '../../../src/testing/simulation/trace.ts'
import { showFields, TraceLog, type TraceLogOptions } from '../../../src/testing/simulation/trace-log.ts'

interface Line {
  readonly atMs: number
  readonly text: string
}

function traceOf(lines: readonly Line[], onLine?: (line: string) => void): Trace {
  let nowMs = 0
  const trace = new Trace({
    digest: createNodeDigest(),
    nowMs: () => nowMs,
    ...(onLine === undefined ? {} : { onLine }),
  })
  for (const { atMs, text } of lines) {
    nowMs = atMs
    trace.add(text)
  }
  return trace
}

function numbered(count: number, change: Partial<Record<number, Partial<Line>>> = {}): Line[] {
  return Array.from({ length: count }, (_, i) => ({ atMs: i / 4, text: `line ${i}`, ...change[i] }))
}

describe('Trace', () => {
  it('SIM-3: the same lines at the same times -> the same digest, that of their text', () => {
    const lines: string[] = []
    const trace = traceOf(numbered(3), (line) => lines.push(line))
    expect(lines).toEqual(['0.000 line 0', '0.250 line 1', '0.500 line 2'])
    expect(trace.digest()).toBe(
      createHash('sha256')
        .update(`${lines.join('\n')}\n`)
        .digest('hex'),
    )
    expect(traceOf(numbered(3)).digest()).toBe(trace.digest())
  })

  it('SIM-3: one line, its time, its place or its presence differs -> another digest', () => {
    const count = 40
    const plain = traceOf(numbered(count)).digest()
    const digests = new Set([plain])
    for (let i = 0; i < count; i++) {
      digests.add(traceOf(numbered(count, { [i]: { text: `line ${i}.` } })).digest())
      digests.add(traceOf(numbered(count, { [i]: { atMs: i / 4 + 0.001 } })).digest())
      digests.add(traceOf(numbered(count).filter((_, at) => at !== i)).digest())
    }
    const [first, second, ...rest] = numbered(count)
    digests.add(traceOf([{ ...second!, atMs: 0 }, { ...first!, atMs: 0.25 }, ...rest]).digest())
    expect(digests.size).toBe(1 + 3 * count + 1)
  })

  it('SIM-3: asked for the digest in between -> the digest at the end stays the same', () => {
    const trace = traceOf(numbered(5))
    const before = trace.digest()
    expect(trace.digest()).toBe(before)
    trace.add('more')
    const other = traceOf([...numbered(5), { atMs: 1, text: 'more' }])
    expect(trace.digest()).toBe(other.digest())
    expect(trace.digest()).not.toBe(before)
  })

  it('SIM-4: prefixes -> one per thousand lines, that of the lines so far', () => {
    const trace = traceOf(numbered(2_999))
    expect([trace.lines, trace.prefixes.length]).toEqual([2_999, 2])
    expect(trace.prefixes).toEqual([traceOf(numbered(1_000)).digest(), traceOf(numbered(2_000)).digest()])
    trace.add('the last')
    expect(trace.prefixes[2]).toBe(trace.digest())
  })

  it('SIM-4: two traces differ in one line -> their prefixes differ from there on', () => {
    const a = traceOf(numbered(4_000))
    const b = traceOf(numbered(4_000, { 2345: { text: 'another' } }))
    expect(a.prefixes.map((prefix, i) => prefix === b.prefixes[i])).toEqual([true, true, false, false])
  })

  it('SIM-7: recent -> the last 200 lines, oldest first', () => {
    for (const count of [0, 1, 199, 200, 201, 399, 400, 1_234]) {
      const lines: string[] = []
      const { recent } = traceOf(numbered(count), (line) => lines.push(line))
      expect(recent).toEqual(lines.slice(-200))
    }
  })
})

describe('TraceLog', () => {
  function newLog(): { readonly log: TraceLog; readonly seen: string[] } {
    const seen: string[] = []
    const options: TraceLogOptions = {
      name: 'node-1',
      onLine: (line) => seen.push(`line ${line}`),
      onEvent: (event) => seen.push(`event ${event}`),
      onError: (text) => seen.push(`error ${text}`),
    }
    return { log: new TraceLog(options), seen }
  }

  it('SIM-3: info, warn -> a line with all fields, those of its parents first; debug -> none', () => {
    const { log, seen } = newLog()
    log.debug()
    log.child({ topic: 't', partition: 1 }).child({ epoch: 3 }).warn('log-truncated', { to: 5 })
    log.info('started')
    expect(seen).toEqual([
      'event log-truncated',
      'line node-1 warn log-truncated topic="t" partition=1 epoch=3 to=5',
      'event started',
      'line node-1 info started ',
    ])
  })

  it('JEP-4: error -> told as well, from children too', () => {
    const { log, seen } = newLog()
    log.child({ topic: 't' }).error('disk-failed', { path: '/data' })
    expect(seen).toContain('error disk-failed topic="t" path="/data"')
  })

  it('SIM-3: an error as a field -> its words, never its stack', () => {
    const error = Object.assign(new RangeError('too much'), { code: 'X' })
    expect(showFields({ error, nothing: undefined, list: [1, 'a'] })).toBe(
      'error=RangeError: too much nothing=undefined list=[1,"a"]',
    )
  })
})
