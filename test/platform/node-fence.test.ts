import { describe, expect, it } from 'vitest'
import { createNodeFence } from '../../src/platform/node/node-fence.ts'

describe('node fence', () => {
  it('SIM-8: steps of one call -> each when all that the one before set off is over, nothing else in between', async () => {
    const order: string[] = []
    const fence = createNodeFence()
    const timer = setTimeout(() => order.push('timer'), 0)
    await new Promise<void>((resolve) => {
      fence([
        () => {
          order.push('first')
          setImmediate(() => order.push('real immediate'))
          queueMicrotask(() => process.nextTick(() => queueMicrotask(() => order.push('over'))))
        },
        () => order.push('second'),
        resolve,
      ])
    })
    clearTimeout(timer)
    const steps = order.slice(order.indexOf('first'))
    expect(steps.slice(0, 3)).toEqual(['first', 'over', 'second'])
  })

  it('what it was taken from is replaced later -> goes on with the one it took', async () => {
    const fence = createNodeFence()
    const real = globalThis.setImmediate
    globalThis.setImmediate = (() => expect.unreachable()) as unknown as typeof setImmediate
    try {
      await new Promise<void>((resolve) => fence([() => {}, resolve]))
    } finally {
      globalThis.setImmediate = real
    }
  })

  it('no steps -> nothing happens', () => {
    expect(() => createNodeFence()([])).not.toThrow()
  })
})
