import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventQueue, type SimulatedEvent } from '../../../src/testing/simulation/event-queue.ts'

function newEvent(sequence: number, of: Partial<SimulatedEvent> = {}): SimulatedEvent {
  return { atMs: 0, priority: 0, sequence, run: () => {}, isDone: false, ...of }
}

function byOrder(a: SimulatedEvent, b: SimulatedEvent): number {
  return a.atMs - b.atMs || a.priority - b.priority || a.sequence - b.sequence
}

function takeAll(queue: EventQueue): number[] {
  const taken: number[] = []
  for (let event = queue.take(); event !== null; event = queue.take()) taken.push(event.sequence)
  return taken
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      atMs: fc.constantFrom(0, 0.5, 1, 2, 3),
      priority: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('take' as const, 'peek' as const) }) },
)

describe('EventQueue', () => {
  it('property: random use -> the same as a sorted array', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new EventQueue()
        const model: SimulatedEvent[] = []
        const all: SimulatedEvent[] = []
        for (const each of steps) {
          model.sort(byOrder)
          if (each.kind === 'add') {
            const event = newEvent(all.length, each)
            all.push(event)
            model.push(event)
            queue.add(event)
          } else if (each.kind === 'cancel') {
            // Of all that ever were, so that what was taken or cancelled before is among them.
            const event = all[each.which % Math.max(1, all.length)]
            if (event === undefined) continue
            if (model.includes(event)) model.splice(model.indexOf(event), 1)
            queue.cancel(event)
          } else if (each.kind === 'take') expect(queue.take()).toBe(model.shift() ?? null)
          else expect(queue.peek()).toBe(model[0] ?? null)
          expect(queue.size).toBe(model.length)
        }
        expect(takeAll(queue)).toEqual(model.sort(byOrder).map(({ sequence }) => sequence))
      }),
      { numRuns: 300 },
    )
  })

  it('the same moment: priority first, then the order of adding', () => {
    const queue = new EventQueue()
    queue.add(newEvent(1, { atMs: 5, priority: 9 }))
    queue.add(newEvent(2, { atMs: 5, priority: 3 }))
    queue.add(newEvent(3, { atMs: 5, priority: 3 }))
    queue.add(newEvent(4, { atMs: 4, priority: 100 }))
    expect(takeAll(queue)).toEqual([4, 2, 3, 1])
  })

  it('cancel: what was taken -> nothing changes', () => {
    const queue = new EventQueue()
    const first = newEvent(1)
    queue.add(first)
    queue.add(newEvent(2))
    expect(queue.take()).toBe(first)
    queue.cancel(first)
    queue.cancel(first)
    expect(queue.size).toBe(1)
    expect(takeAll(queue)).toEqual([2])
    expect(queue.size).toBe(0)
  })

  it('cancel: twice, or the one that was looked at -> counts once', () => {
    const queue = new EventQueue()
    const first = newEvent(1)
    queue.add(first)
    queue.add(newEvent(2, { atMs: 1 }))
    expect(queue.peek()).toBe(first)
    queue.cancel(first)
    queue.cancel(first)
    expect(queue.size).toBe(1)
    expect(takeAll(queue)).toEqual([2])
  })

  it('cancel: nearly all of thousands -> the rest keeps its order and count', () => {
    const queue = new EventQueue()
    const events = Array.from({ length: 10_000 }, (_, i) => newEvent(i, { atMs: (i * 7_919) % 10_007 }))
    for (const event of events) queue.add(event)
    const kept = events.filter(({ sequence }) => sequence % 10 === 0)
    for (const event of events) if (event.sequence % 10 !== 0) queue.cancel(event)
    expect(queue.size).toBe(kept.length)
    const added = newEvent(10_000, { atMs: 0.5 })
    queue.add(added)
    expect(takeAll(queue)).toEqual([...kept, added].sort(byOrder).map(({ sequence }) => sequence))
  })

  it('empty -> null', () => {
    const queue = new EventQueue()
    expect([queue.size, queue.peek(), queue.take()]).toEqual([0, null, null])
  })
})
