import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReplicationQuota } from '../../src/replication/replication-quota.ts'

describe('ReplicationQuota', () => {
  it('no rate -> no limit, and what was copied is no debt', () => {
    const quota = new ReplicationQuota()
    quota.charge(1_000_000, 0)
    expect([quota.isOn, quota.burstBytes, quota.waitMs(0)]).toEqual([false, Number.POSITIVE_INFINITY, 0])
    quota.setRate(1_000, 0)
    expect([quota.isOn, quota.burstBytes, quota.waitMs(0)]).toEqual([true, 1_000, 0])
  })

  it('a batch larger than the budget -> is let through, and its debt is paid first', () => {
    const quota = new ReplicationQuota()
    quota.setRate(1_000, 0)
    quota.charge(5_000, 0)
    expect(quota.waitMs(0)).toBe(4_001)
    expect(quota.waitMs(4_000)).toBe(1)
    expect(quota.waitMs(4_001)).toBe(0)
  })

  it('a long silence -> no more than one second is saved up', () => {
    const quota = new ReplicationQuota()
    quota.setRate(1_000, 0)
    expect(quota.waitMs(3_600_000)).toBe(0)
    quota.charge(1_000, 3_600_000)
    expect(quota.waitMs(3_600_000)).toBe(1)
  })

  it('another rate -> the debt stays and is paid at the new rate; without a limit it is forgotten', () => {
    const quota = new ReplicationQuota()
    quota.setRate(1_000, 0)
    quota.charge(11_000, 0)
    quota.setRate(10_000, 0)
    expect(quota.waitMs(0)).toBe(1_001)
    quota.setRate(null, 0)
    expect(quota.waitMs(0)).toBe(0)
    quota.setRate(1_000, 10)
    expect(quota.waitMs(10)).toBe(0)
  })

  it('a clock that stands -> nothing is given twice', () => {
    const quota = new ReplicationQuota()
    quota.setRate(1_000, 500)
    quota.charge(1_000, 500)
    for (let i = 0; i < 10; i++) expect(quota.waitMs(500)).toBe(1)
  })

  it('whoever waits as told -> always comes on, and takes the rate, one second and one batch at most', () => {
    const batches = fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 50_000 }), idleMs: fc.integer({ min: 0, max: 3_000 }) }),
      { minLength: 1, maxLength: 60 },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), batches, (rate, all) => {
        const quota = new ReplicationQuota()
        quota.setRate(rate, 0)
        let nowMs = 0
        let copied = 0
        for (const { bytes, idleMs } of all) {
          nowMs += idleMs
          // A millisecond more where the last one did not count in full.
          for (let waits = 0; quota.waitMs(nowMs) > 0; waits++) {
            expect(waits).toBeLessThan(3)
            nowMs += quota.waitMs(nowMs)
          }
          expect(copied).toBeLessThanOrEqual((nowMs * rate) / 1_000 + rate + 1)
          quota.charge(bytes, nowMs)
          copied += bytes
        }
      }),
    )
  })
})
