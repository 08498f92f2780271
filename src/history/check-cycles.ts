// CHK-15: operations that would have to come before themselves. G0: by the order of writes alone; G1c: information
// flows in a circle. With -process, the order of one process is needed to see it, with -realtime that of the clock.
import type { CycleEdge, CycleName, Excuse, Report, Tell } from './finding.ts'
import { eventOf, type HistoryIndex } from './history-index.ts'
import { EDGE, type OperationGraph, operationGraph } from './operation-graph.ts'
import { strongComponents } from './strong-components.ts'

interface Family {
  readonly name: 'G0' | 'G1c'
  readonly kinds: number
  /** What every cycle of the family has one edge of, at least. */
  readonly closing: number
  readonly excuse?: Excuse
}

const G0: Family = { name: 'G0', kinds: EDGE.ww, closing: EDGE.ww }
/** First without the order of writes: what needs none has no excuse. */
const G1C: readonly Family[] = [
  { name: 'G1c', kinds: EDGE.wr, closing: EDGE.wr },
  { name: 'G1c', kinds: EDGE.ww | EDGE.wr, closing: EDGE.wr, excuse: 'write-order' },
]

/** From the strongest evidence to the weakest. */
const ORDERS = [0, EDGE.process, EDGE.process | EDGE.realtime] as const

export function checkCycles(history: HistoryIndex, wwEdges: boolean, tell: Tell): void {
  const graph = operationGraph(history, wwEdges)
  // Whoever is on no cycle of all edges is on none of fewer.
  const all = EDGE.ww | EDGE.wr | EDGE.process | EDGE.realtime
  if (strongComponents(graph, all).every((component) => component === -1)) return
  for (const families of [[G0], G1C]) {
    // One cycle tells of a knot; the same with weaker evidence would say nothing new.
    const known = new Set<number>()
    for (const family of families) {
      for (const order of ORDERS) {
        const { kinds, closing } = family
        for (const cycle of cyclesOf(graph, { mask: kinds | order, closing, known })) {
          for (const { node } of cycle) known.add(node)
          tellCycle(graph, { family, cycle }, tell)
        }
      }
    }
  }
}

/** A step of a cycle: the node, and the edge that leads on from it. */
interface Step {
  readonly node: number
  readonly edge: number
}

/** One cycle with a closing edge for each component that has one and holds no known node. */
function* cyclesOf(
  graph: OperationGraph,
  search: { readonly mask: number; readonly closing: number; readonly known: ReadonlySet<number> },
): Generator<readonly Step[]> {
  const { nodesCount, starts, targets, kinds } = graph
  const { mask, closing, known } = search
  const components = strongComponents(graph, mask)
  const done = new Set([...known].map((node) => components[node]!))
  for (let node = 0; node < nodesCount; node++) {
    const component = components[node]!
    if (component === -1 || done.has(component)) continue
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      if ((kinds[edge]! & closing) === 0 || components[targets[edge]!] !== component) continue
      const back = shortestPath(graph, { from: targets[edge]!, to: node, mask, components })
      done.add(component)
      yield [{ node, edge }, ...back]
      break
    }
  }
}

/** The way with the fewest edges; those between two ends of the chain of real time do not count. */
function shortestPath(
  graph: OperationGraph,
  search: {
    readonly from: number
    readonly to: number
    readonly mask: number
    readonly components: Int32Array
  },
): readonly Step[] {
  const { starts, targets, kinds, operations } = graph
  const { from, to, mask, components } = search
  const cameBy = new Map<number, Step | null>()
  const isEnd = (node: number): boolean => node >= operations.length
  let level: { readonly node: number; readonly by: Step | null }[] = [{ node: from, by: null }]
  while (!cameBy.has(to)) {
    const next: typeof level = []
    // The level grows while it is walked.
    for (const { node, by } of level) {
      if (cameBy.has(node)) continue
      cameBy.set(node, by)
      for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
        const target = targets[edge]!
        if ((kinds[edge]! & mask) === 0 || components[target] !== components[from]) continue
        const reached = { node: target, by: { node, edge } }
        if (isEnd(node)) level.push(reached)
        else next.push(reached)
      }
    }
    level = next
  }
  const path: Step[] = []
  for (let step = cameBy.get(to)!; step !== null; step = cameBy.get(step.node)!) path.push(step)
  return path.toReversed()
}

function tellCycle(
  graph: OperationGraph,
  found: { readonly family: Family; readonly cycle: readonly Step[] },
  tell: Tell,
): void {
  const edges = edgesOf(graph, found.cycle)
  const types = new Set(edges.map(({ type }) => type))
  const suffix = types.has('realtime') ? '-realtime' : types.has('process') ? '-process' : ''
  const name: CycleName = `${found.family.name}${suffix}`
  const keys = new Set(edges.flatMap(({ key }) => (key === undefined ? [] : [key])))
  const events = [...new Set(edges.map(({ from }) => from))]
  const report: Report = {
    name,
    key: keys.size === 1 ? [...keys][0]! : null,
    process: null,
    events: events.toSorted((a, b) => a - b),
    evidence: { edges },
    message: `A circle, so that no order of the operations explains what was seen: ${edges.map(inWords).join('; ')}.`,
  }
  tell(report, found.family.excuse)
}

/** The cycle as edges between operations; the ends in between are left out. */
function edgesOf(
  { operations, kinds, reasons, targets }: OperationGraph,
  cycle: readonly Step[],
): readonly CycleEdge[] {
  const edges: CycleEdge[] = []
  let from = cycle[0]!.node
  for (const { edge } of cycle) {
    const to = targets[edge]!
    if (to >= operations.length) continue
    const ends = { from: eventOf(operations[from]!), to: eventOf(operations[to]!) }
    const reason = reasons[edge]
    const type = typeOf(kinds[edge]!)
    edges.push(reason == null ? { type, ...ends } : { type, ...ends, ...reason })
    from = to
  }
  return edges
}

function typeOf(kind: number): CycleEdge['type'] {
  if (kind === EDGE.ww) return 'ww'
  if (kind === EDGE.wr) return 'wr'
  return kind === EDGE.process ? 'process' : 'realtime'
}

function inWords({ type, from, to, key, value }: CycleEdge): string {
  switch (type) {
    case 'ww':
      return `event ${from} wrote to ${key} just before ${JSON.stringify(value)} of event ${to}`
    case 'wr':
      return `event ${from} wrote ${JSON.stringify(value)} to ${key}, which event ${to} read`
    case 'process':
      return `event ${from} came before event ${to} in the same process`
    case 'realtime':
      return `event ${from} had ended before event ${to} began`
  }
}
