import { describe, expect, it } from 'vitest'
import { deferred } from '../../../src/base/async/deferred.ts'
import {
  ExecutorClosedError,
  ExecutorFullError,
  SerialExecutor,
} from '../../../src/base/async/serial-executor.ts'

/** Lets all callbacks of promises that are settled already run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('SerialExecutor', () => {
  it('tasks given at once -> run one at a time, in order, with their results', async () => {
    const executor = new SerialExecutor()
    const steps: string[] = []
    const results = ['a', 'b', 'c'].map((name) =>
      executor.run(async () => {
        steps.push(`${name} starts`)
        await settle()
        steps.push(`${name} ends`)
        return name
      }),
    )
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c'])
    expect(steps).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends'])
  })

  it('a task that fails -> rejects its own promise, the next one runs', async () => {
    const executor = new SerialExecutor()
    const failed = executor.run(async () => {
      throw new Error('broken')
    })
    const next = executor.run(async () => 'done')
    await expect(failed).rejects.toThrow('broken')
    expect(await next).toBe('done')
  })

  it('more tasks than may wait -> refused without being started, room again afterwards', async () => {
    const executor = new SerialExecutor(2)
    const gate = deferred<void>()
    let started = 0
    const task = (): Promise<void> => {
      started++
      return gate.promise
    }
    const accepted = [executor.run(task), executor.run(task), executor.run(task)]
    await expect(executor.run(task)).rejects.toBeInstanceOf(ExecutorFullError)
    expect(started).toBe(1)
    gate.resolve()
    await Promise.all(accepted)
    await executor.run(task)
    expect(started).toBe(4)
  })

  it('close: tasks still wait -> they end first, new ones are refused', async () => {
    const executor = new SerialExecutor()
    const gate = deferred<void>()
    const steps: string[] = []
    const note = (step: string): void => void steps.push(step)
    const first = executor.run(() => gate.promise.then(() => note('first')))
    const second = executor.run(async () => note('second'))
    const closed = executor.close().then(() => note('closed'))
    await expect(executor.run(async () => {})).rejects.toBeInstanceOf(ExecutorClosedError)
    await settle()
    expect(steps).toEqual([])
    gate.resolve()
    await Promise.all([first, second, closed])
    expect(steps).toEqual(['first', 'second', 'closed'])
  })

  it('close: nothing was ever run, or all has ended -> resolves', async () => {
    const executor = new SerialExecutor()
    await executor.close()
    const used = new SerialExecutor()
    await used.run(async () => {})
    await used.close()
    await used.close()
  })
})
