// Which operation has to come before which, as far as the history tells (CHK-15, after Elle by K. Kingsbury).
import type { HistoryKey, HistoryValue } from './history.ts'
import type { HistoryIndex, IndexedOperation } from './history-index.ts'
import type { EdgeLists } from './strong-components.ts'

export const EDGE = { ww: 1, wr: 2, process: 4, realtime: 8 } as const

/** What an edge of kind ww or wr stands for. */
export interface EdgeReason {
  readonly key: HistoryKey
  readonly value: HistoryValue
}

export interface OperationGraph extends EdgeLists {
  /** The first nodes, in this order; behind them come the ends. */
  readonly operations: readonly IndexedOperation[]
  readonly reasons: readonly (EdgeReason | null)[]
}

/**
 * Real time needs an edge from each operation that has ended to each that began later, about n squared of them. So the
 * ends are nodes too and form a chain: an operation leads to its own end, every end to the next, and the last end before
 * an operation began leads to that. The same paths with three edges for each operation.
 * @param wwEdges whether the order of writes by offset counts.
 */
export function operationGraph(history: HistoryIndex, wwEdges: boolean): OperationGraph {
  const operations = history.operations.filter(
    ({ isCommitted, reads, writes }) => isCommitted && reads.length + writes.length > 0,
  )
  const nodes = new Map<IndexedOperation, number>()
  for (const [node, operation] of operations.entries()) nodes.set(operation, node)
  // One that ended as info may take effect later still, so nothing is known to come after it.
  const ended = history.completed.filter((operation) => operation.type === 'ok' && nodes.has(operation))
  const edges = new EdgeCollector()
  if (wwEdges) addWriteEdges(history, nodes, edges)
  addReadEdges(operations, nodes, edges)
  addProcessEdges(operations, edges)
  addRealtimeEdges({ operations, ended, nodes }, edges)
  return { ...edges.lists(operations.length + ended.length), operations }
}

class EdgeCollector {
  readonly #from: number[] = []
  readonly #to: number[] = []
  readonly #kinds: number[] = []
  readonly #reasons: (EdgeReason | null)[] = []

  add(
    edge: { readonly from: number; readonly to: number; readonly kind: number },
    reason?: EdgeReason,
  ): void {
    this.#from.push(edge.from)
    this.#to.push(edge.to)
    this.#kinds.push(edge.kind)
    this.#reasons.push(reason ?? null)
  }

  lists(nodesCount: number): EdgeLists & { readonly reasons: readonly (EdgeReason | null)[] } {
    const count = this.#from.length
    const starts = new Int32Array(nodesCount + 1)
    for (const from of this.#from) starts[from + 1]!++
    for (let node = 0; node < nodesCount; node++) starts[node + 1]! += starts[node]!
    const free = starts.slice(0, nodesCount)
    const targets = new Int32Array(count)
    const kinds = new Uint8Array(count)
    const reasons = new Array<EdgeReason | null>(count).fill(null)
    for (let i = 0; i < count; i++) {
      const at = free[this.#from[i]!]!++
      targets[at] = this.#to[i]!
      kinds[at] = this.#kinds[i]!
      reasons[at] = this.#reasons[i]!
    }
    return { nodesCount, starts, targets, kinds, reasons }
  }
}

type Nodes = ReadonlyMap<IndexedOperation, number>

/** From the writer of a value to the writer of the next one in the log. */
function addWriteEdges({ keys }: HistoryIndex, nodes: Nodes, edges: EdgeCollector): void {
  for (const { key, order, writers } of keys.values()) {
    let before: number | null = null
    // By the first places only: a duplicate says nothing about when its value was written.
    for (const value of order.values()) {
      const node = nodes.get(writers.get(value)!)
      if (node === undefined) continue
      if (before !== null && before !== node)
        edges.add({ from: before, to: node, kind: EDGE.ww }, { key, value })
      before = node
    }
  }
}

/** From the writer of a value to those who read it. */
function addReadEdges(operations: readonly IndexedOperation[], nodes: Nodes, edges: EdgeCollector): void {
  for (const [to, operation] of operations.entries()) {
    if (operation.type !== 'ok') continue
    for (const { of, records } of operation.reads) {
      let before = -1
      for (const [, value] of records) {
        const from = nodes.get(of.writers.get(value)!)
        // Values of one operation follow each other, so this leaves out most of the repeated edges.
        if (from === undefined || from === to || from === before) continue
        edges.add({ from, to, kind: EDGE.wr }, { key: of.key, value })
        before = from
      }
    }
  }
}

function addProcessEdges(operations: readonly IndexedOperation[], edges: EdgeCollector): void {
  const last = new Map<number, number>()
  for (const [to, { process, type }] of operations.entries()) {
    const from = last.get(process)
    if (from !== undefined) edges.add({ from, to, kind: EDGE.process })
    if (type === 'ok') last.set(process, to)
    else last.delete(process)
  }
}

function addRealtimeEdges(
  graph: {
    readonly operations: readonly IndexedOperation[]
    readonly ended: readonly IndexedOperation[]
    readonly nodes: Nodes
  },
  edges: EdgeCollector,
): void {
  const { operations, ended, nodes } = graph
  const kind = EDGE.realtime
  const endNode = (i: number): number => operations.length + i
  for (const [i, operation] of ended.entries()) {
    edges.add({ from: nodes.get(operation)!, to: endNode(i), kind })
    if (i > 0) edges.add({ from: endNode(i - 1), to: endNode(i), kind })
  }
  let endsBefore = 0
  for (const [node, { invoked }] of operations.entries()) {
    while (endsBefore < ended.length && ended[endsBefore]!.completed!.index < invoked.index) endsBefore++
    if (endsBefore > 0) edges.add({ from: endNode(endsBefore - 1), to: node, kind })
  }
}
