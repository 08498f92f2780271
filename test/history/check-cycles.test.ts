import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkCycles } from '../../src/history/check-cycles.ts'
import { checkHistory } from '../../src/history/check-history.ts'
import type { CycleEdge, Report } from '../../src/history/finding.ts'
import type { HistoryEvent, HistoryStep } from '../../src/history/history.ts'
import {
  eventOf,
  type HistoryIndex,
  type IndexedOperation,
  indexHistory,
} from '../../src/history/history-index.ts'
import { strongComponents } from '../../src/history/strong-components.ts'
import { Script } from './script.ts'

function cyclesOf(events: readonly HistoryEvent[], wwEdges = false): readonly Report[] {
  const reports: Report[] = []
  checkCycles(indexHistory(events), wwEdges, (report) => reports.push(report))
  return reports
}

function edgesOf(report: Report): readonly CycleEdge[] {
  return 'edges' in report.evidence ? report.evidence.edges : []
}

const send = (key: string, value: string, offset: number): HistoryStep => ['send', key, value, offset]
const poll = (key: string, value: string, offset: number): HistoryStep => [
  'poll',
  { [key]: [[offset, value]] },
]

describe('checkCycles', () => {
  it('CHK-15: two transactions read what the other writes -> G1c, an error', () => {
    const script = new Script()
      .txn('ok', [send('x', 'a', 0), poll('y', 'b', 0)], 0)
      .txn('ok', [send('y', 'b', 0), poll('x', 'a', 0)], 1)
    const { valid, findings } = checkHistory(script.events)
    expect(valid).toBe(false)
    expect(findings).toMatchObject([
      {
        check: 'CHK-15',
        name: 'G1c',
        key: null,
        events: [1, 3],
        evidence: {
          edges: [
            { type: 'wr', from: 1, to: 3, key: 'x', value: 'a' },
            { type: 'wr', from: 3, to: 1, key: 'y', value: 'b' },
          ],
        },
      },
    ])
  })

  it('CHK-15: a process reads what it sends later -> G1c-process', () => {
    const script = new Script().poll('ok', { x: [[0, 'a']] }, 0).send('ok', [['x', 'a', 0]], 0)
    expect(cyclesOf(script.events).map(({ name }) => name)).toEqual(['G1c-process'])
  })

  it('CHK-15: a record is read before another process begins to send it -> G1c-realtime, in plain words', () => {
    const script = new Script().poll('ok', { x: [[0, 'a']] }, 0).send('ok', [['x', 'a', 0]], 1)
    const [report] = cyclesOf(script.events)
    expect([report!.name, report!.key]).toEqual(['G1c-realtime', 'x'])
    expect(report!.message).toContain(
      'event 3 wrote "a" to x, which event 1 read; event 1 had ended before event 3 began',
    )
  })

  it('CHK-15: read while the send is under way, or after a send that ended unknown -> no cycle', () => {
    const script = new Script()
    const invocation = script.invoke(0, { f: 'send', steps: [['send', 'x', 'a']] })
    script.poll('ok', { x: [[0, 'a']] }, 1)
    script.complete(invocation, 'ok', { f: 'send', steps: [['send', 'x', 'a', 0]] })
    script.send('info', [['x', 'b']], 2).poll('ok', { x: [[1, 'b']] }, 3)
    expect(cyclesOf(script.events, true)).toEqual([])
  })

  it('CHK-15: a process goes on after a send that ended unknown -> that one may be written later', () => {
    const script = new Script().send('info', [['x', 'a']], 0).send('ok', [['x', 'b', 0]], 1)
    script.poll('ok', {
      x: [
        [0, 'b'],
        [1, 'a'],
      ],
    })
    const events = script.events.map((event) => (event.process === 1 ? { ...event, process: 0 } : event))
    expect(cyclesOf(events, true)).toEqual([])
  })

  it('CHK-15: the log turns the order of two sends round -> G0-realtime, allowed; without ww edges, nothing', () => {
    const script = new Script().send('ok', [['x', 'a', 1]], 0).send('ok', [['x', 'b', 0]], 1)
    expect(cyclesOf(script.events)).toEqual([])
    expect(checkHistory(script.events, { wwEdges: true })).toMatchObject({
      valid: true,
      findings: [{ name: 'G0-realtime', isAllowed: true, key: 'x' }],
    })
    expect(checkHistory(script.events, { wwEdges: true, forbidden: ['G0-realtime'] }).valid).toBe(false)
  })

  it('CHK-15: writes of two operations mixed in both keys -> G0', () => {
    const script = new Script()
      .send('ok', [
        ['x', 'a', 0],
        ['y', 'a', 1],
      ])
      .send('ok', [
        ['x', 'b', 1],
        ['y', 'b', 0],
      ])
    expect(cyclesOf(script.events, true).map(({ name }) => name)).toEqual(['G0'])
  })

  it('CHK-15: G1c that needs the order of writes -> allowed, as an order by offset is none of transactions', () => {
    const script = new Script()
    const first = { f: 'txn', steps: [send('x', 'a', 0), poll('y', 'c', 0)] } as const
    const invocation = script.invoke(0, { f: 'txn', steps: [['send', 'x', 'a'], ['poll']] })
    script.txn('ok', [send('x', 'b', 1), send('y', 'c', 0)], 1)
    script.complete(invocation, 'ok', first)
    expect(checkHistory(script.events)).toMatchObject({ valid: true, findings: [] })
    expect(checkHistory(script.events, { wwEdges: true })).toMatchObject({
      valid: true,
      findings: [{ name: 'G1c', isAllowed: true }],
    })
    expect(checkHistory(script.events, { wwEdges: true, forbidden: ['G1c'] }).valid).toBe(false)
  })

  it('CHK-15: G1c that needs no order of writes -> an error, also with ww edges', () => {
    const script = new Script()
      .send('ok', [['x', 'b', 1]], 2)
      .poll('ok', { x: [[0, 'a']] }, 0)
      .send('ok', [['x', 'a', 0]], 1)
    const { valid, findings } = checkHistory(script.events, { wwEdges: true })
    expect([valid, findings.map(({ name, isAllowed }) => [name, isAllowed])]).toEqual([
      false,
      [
        ['G1c-realtime', false],
        ['G0-realtime', true],
      ],
    ])
  })

  it('CHK-15: one knot of many operations -> one cycle, with the strongest evidence', () => {
    const script = new Script()
    for (let i = 0; i < 10; i++) script.poll('ok', { x: [[i, `v${i}`]] }, 0)
    for (let i = 0; i < 10; i++) script.send('ok', [['x', `v${i}`, i]], i === 5 ? 0 : 1)
    expect(cyclesOf(script.events).map(({ name }) => name)).toEqual(['G1c-process'])
  })

  it('CHK-15: any operations -> a cycle is found if there is one, and every edge of it holds', () => {
    fc.assert(
      fc.property(anyHistory(), fc.boolean(), (events, wwEdges) => {
        const history = indexHistory(events)
        const naive = naiveEdges(history, wwEdges)
        const reports = cyclesOf(events, wwEdges)
        expect(reports.length > 0).toBe(hasCycle(naive))
        for (const report of reports) {
          const edges = edgesOf(report)
          expect(edges.every(({ to }, i) => to === edges[(i + 1) % edges.length]!.from)).toBe(true)
          for (const { type, from, to } of edges) expect(naive).toContainEqual({ type, from, to })
          expect(report.name.startsWith('G0')).toBe(edges.every(({ type }) => type !== 'wr'))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('strongComponents', () => {
  it('any graph -> the nodes that reach each other, and no others', () => {
    const arbitrary = fc.array(fc.record({ from: fc.nat(7), to: fc.nat(7), kind: fc.constantFrom(1, 2) }), {
      maxLength: 20,
    })
    fc.assert(
      fc.property(arbitrary, fc.constantFrom(1, 3), (edges, mask) => {
        const sorted = edges.toSorted((a, b) => a.from - b.from)
        const components = strongComponents(
          {
            nodesCount: 8,
            starts: Int32Array.from(
              { length: 9 },
              (_, node) => sorted.filter(({ from }) => from < node).length,
            ),
            targets: Int32Array.from(sorted, ({ to }) => to),
            kinds: Uint8Array.from(sorted, ({ kind }) => kind),
          },
          mask,
        )
        const used = edges.filter(({ kind }) => (kind & mask) !== 0)
        for (let a = 0; a < 8; a++) {
          for (let b = 0; b < a; b++) {
            const isTogether = components[a] !== -1 && components[a] === components[b]
            expect(isTogether).toBe(reaches(used, a, b) && reaches(used, b, a))
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a path of 200,000 nodes that closes -> one component, without recursion', () => {
    const nodesCount = 200_000
    const components = strongComponents(
      {
        nodesCount,
        starts: Int32Array.from({ length: nodesCount + 1 }, (_, node) => node),
        targets: Int32Array.from({ length: nodesCount }, (_, node) => (node + 1) % nodesCount),
        kinds: new Uint8Array(nodesCount).fill(1),
      },
      1,
    )
    expect(components.every((component) => component === 0)).toBe(true)
  })
})

/** Operations of three processes, overlapping at will, that send and read at random what they like. */
function anyHistory(): fc.Arbitrary<readonly HistoryEvent[]> {
  const step = fc.record({ process: fc.nat(2), isSend: fc.boolean(), reads: fc.nat(11), type: fc.nat(5) })
  return fc.array(step, { minLength: 4, maxLength: 24 }).map((steps) => {
    const script = new Script()
    const open = new Map<number, () => void>()
    const numbers = [0, 1, 2]
    let sentCount = 0
    for (const { process, isSend, reads, type } of steps) {
      const close = open.get(process)
      if (close !== undefined) {
        close()
        open.delete(process)
        continue
      }
      const value = sentCount++
      const key = value % 2 === 0 ? 'x' : 'y'
      const of = reads % 2 === 0 ? 'x' : 'y'
      // Values stand in the log in an order of their own.
      const place = (other: number): number => (other * 7) % 12
      const steps: HistoryStep[] = isSend
        ? [['send', key, value, place(value)]]
        : [
            ['send', key, value, place(value)],
            ['poll', { [of]: [[place(reads), reads]] }],
          ]
      const invocation = script.invoke(numbers[process]!, {
        f: 'txn',
        steps: steps.map((other) => (other[0] === 'poll' ? ['poll'] : ['send', other[1], other[2]])),
      })
      const outcome = type === 0 ? 'fail' : type === 1 ? 'info' : 'ok'
      // A process is over after an unknown outcome.
      if (outcome === 'info') numbers[process] = script.own()
      open.set(process, () => script.complete(invocation, outcome, { f: 'txn', steps }))
    }
    return script.events
  })
}

type Edge = Pick<CycleEdge, 'type' | 'from' | 'to'>

function naiveEdges({ operations, keys }: HistoryIndex, wwEdges: boolean): readonly Edge[] {
  const nodes = operations.filter(({ isCommitted }) => isCommitted)
  const edges: Edge[] = []
  const add = (type: CycleEdge['type'], a: IndexedOperation, b: IndexedOperation): void => {
    if (a !== b) edges.push({ type, from: eventOf(a), to: eventOf(b) })
  }
  for (const a of nodes) {
    for (const b of nodes) {
      const isReadBy = b.reads.some(({ of, records }) =>
        records.some(([, value]) => of.writers.get(value) === a),
      )
      if (b.type === 'ok' && isReadBy) add('wr', a, b)
      if (a.type !== 'ok' || a.completed!.index > b.invoked.index) continue
      add('realtime', a, b)
      if (a.process === b.process) add('process', a, b)
    }
  }
  if (!wwEdges) return edges
  for (const { order, writers } of keys.values()) {
    const committed = [...order.values()]
      .map((value) => writers.get(value))
      .filter((writer) => writer?.isCommitted)
    for (const [i, writer] of committed.entries()) if (i > 0) add('ww', committed[i - 1]!, writer!)
  }
  return edges
}

function hasCycle(edges: readonly Edge[]): boolean {
  return edges.some(({ from, to }) => reaches(edges, to, from))
}

function reaches(
  edges: readonly { readonly from: number; readonly to: number }[],
  from: number,
  to: number,
): boolean {
  const reached = new Set([from])
  for (const node of reached) for (const edge of edges) if (edge.from === node) reached.add(edge.to)
  return reached.has(to)
}
