/** Something that happens at one moment of virtual time. */
export interface SimulatedEvent {
  readonly atMs: number
  /** Orders events of the same moment: drawn, so that every order is explored. */
  readonly priority: number
  readonly sequence: number
  readonly run: () => void
  /** Taken or cancelled: it is not to happen any more. */
  isDone: boolean
}

/** A binary heap of events by time, then priority, then the order in which they were added. */
export class EventQueue {
  readonly #heap: SimulatedEvent[] = []
  #cancelled = 0

  /** Events that are neither taken nor cancelled. */
  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  add(event: SimulatedEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  cancel(event: SimulatedEvent): void {
    if (event.isDone) return
    event.isDone = true
    this.#cancelled++
    // Timeouts that are set and cancelled with each request would fill the heap with what never happens.
    if (this.#cancelled > 1_024 && this.#cancelled > this.#heap.length / 2) this.#rebuild()
  }

  /** The earliest event, which stays; null when there is none. */
  peek(): SimulatedEvent | null {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!first.isDone) return first
      this.#removeFirst()
      this.#cancelled--
    }
    return null
  }

  take(): SimulatedEvent | null {
    const first = this.peek()
    if (first === null) return null
    this.#removeFirst()
    first.isDone = true
    return first
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }

  #rebuild(): void {
    const live = this.#heap.filter((event) => !event.isDone)
    this.#heap.length = 0
    this.#cancelled = 0
    for (const event of live) this.add(event)
  }
}

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  return a.priority === b.priority ? a.sequence < b.sequence : a.priority < b.priority
}
