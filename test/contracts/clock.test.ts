import { deferred } from '../../src/base/async/deferred.ts'
import { createNodeClock } from '../../src/platform/node/node-clock.ts'
import { createWebClock } from '../../src/platform/web/web-clock.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { type ClockHarness, clockContract } from './clock-contract.ts'

const untilSettled = (promise: Promise<void>): Promise<void> => promise

clockContract('node', () => ({ clock: createNodeClock(), until: untilSettled }))

clockContract('web', () => ({ clock: createWebClock(), until: untilSettled }))

clockContract('manual', (): ClockHarness => {
  const clock = new ManualClock({ monotonicMs: 0.75 })
  return {
    clock,
    async until(promise) {
      let isSettled = false
      const settled = deferred<void>()
      promise.then(
        () => {
          isSettled = true
          settled.resolve()
        },
        (error: unknown) => settled.reject(error),
      )
      while (!isSettled) {
        clock.advance(0.5)
        await Promise.resolve()
      }
      await settled.promise
    },
  }
})
