/** The edges of a graph by the node they start from: those of node n are at `starts[n]` up to `starts[n + 1]`. */
export interface EdgeLists {
  readonly nodesCount: number
  readonly starts: Int32Array
  readonly targets: Int32Array
  /** One bit. */
  readonly kinds: Uint8Array
}

/**
 * Tarjan's strongly connected components over the edges whose kind is in the mask, without recursion: a history of
 * 200,000 operations is a path that deep.
 * @returns for each node the number of its component; -1 for a component of one node, which no cycle goes through.
 */
export function strongComponents(graph: EdgeLists, mask: number): Int32Array {
  const { nodesCount, starts, targets, kinds } = graph
  const components = new Int32Array(nodesCount).fill(-1)
  const numbers = new Int32Array(nodesCount)
  const lows = new Int32Array(nodesCount)
  const isOnStack = new Uint8Array(nodesCount)
  const nextEdges = starts.slice(0, nodesCount)
  const stack = new Int32Array(nodesCount)
  const path = new Int32Array(nodesCount)
  let stackSize = 0
  let visited = 0
  let componentsCount = 0

  const close = (node: number): void => {
    const size = stackSize
    do {
      stackSize--
      isOnStack[stack[stackSize]!] = 0
    } while (stack[stackSize] !== node)
    if (size - stackSize === 1) return
    for (let i = stackSize; i < size; i++) components[stack[i]!] = componentsCount
    componentsCount++
  }

  for (let root = 0; root < nodesCount; root++) {
    if (numbers[root] !== 0) continue
    let depth = 0
    path[0] = root
    while (depth >= 0) {
      const node = path[depth]!
      if (numbers[node] === 0) {
        visited++
        numbers[node] = visited
        lows[node] = visited
        stack[stackSize++] = node
        isOnStack[node] = 1
      }
      let edge = nextEdges[node]!
      const end = starts[node + 1]!
      for (; edge < end; edge++) {
        if ((kinds[edge]! & mask) === 0) continue
        const target = targets[edge]!
        if (numbers[target] === 0) break
        if (isOnStack[target] === 1 && lows[target]! < lows[node]!) lows[node] = lows[target]!
      }
      nextEdges[node] = edge
      if (edge < end) {
        // The edge is looked at once more when its target is done, which then brings its low number.
        path[++depth] = targets[edge]!
        continue
      }
      if (lows[node] === numbers[node]) close(node)
      depth--
    }
  }
  return components
}
