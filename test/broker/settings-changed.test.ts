// What waits by a setting when the setting changes.
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import type { BrokerEnvironment } from '../../src/broker/broker-environment.ts'
import { type CleanedPartition, LogCleaner } from '../../src/broker/log-cleaner.ts'
import { RetentionCheck } from '../../src/broker/retention-check.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

const DAY_MS = 86_400_000

function environment() {
  const clock = new ManualClock()
  return { clock, environment: { clock, log: silentLog } as unknown as BrokerEnvironment }
}

describe('a setting changes while something waits by it', () => {
  it('log.retention.check.interval.ms -> the next check comes by the new interval, and one by the old does not', async () => {
    const { clock, environment: of } = environment()
    let intervalMs = DAY_MS
    let checks = 0
    const hosted = () => {
      checks++
      return []
    }
    const retention = new RetentionCheck({ environment: of, hosted, intervalMs: () => intervalMs })
    retention.start()
    clock.advance(1_000)
    retention.settingsChanged()
    expect(clock.pendingTimers).toBe(1)
    intervalMs = 500
    retention.settingsChanged()
    expect(clock.pendingTimers).toBe(1)
    clock.advance(499)
    expect(checks).toBe(0)
    clock.advance(1)
    await setImmediate()
    expect(checks).toBe(1)
    clock.advance(500)
    await setImmediate()
    expect(checks).toBe(2)
    await retention.stop()
    retention.settingsChanged()
    intervalMs = 1
    retention.settingsChanged()
    expect(clock.pendingTimers).toBe(0)
  })

  it('log.cleaner.backoff.ms -> the cleaner looks at once, and sleeps by the new one', async () => {
    const { clock, environment: of } = environment()
    const settings = { backoffMs: DAY_MS, dedupeBufferBytes: 1, ioMaxBytesPerSecond: 1 }
    let looks = 0
    const compaction = {
      isWanted: true,
      plan: async () => {
        looks++
        return { isDue: false, dirtyRatio: 0 }
      },
    }
    const partition = { key: 'k', highWatermark: 0, log: { compaction } } as unknown as CleanedPartition
    const cleaner = new LogCleaner({ environment: of, settings, hosted: () => [partition] })
    cleaner.partitionsChanged()
    await setImmediate()
    expect(looks).toBe(1)
    settings.backoffMs = 100
    cleaner.settingsChanged()
    await setImmediate()
    expect(looks).toBe(2)
    clock.advance(100)
    await setImmediate()
    expect(looks).toBe(3)
    await cleaner.stop()
  })
})
