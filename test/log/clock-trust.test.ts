import { describe, expect, it } from 'vitest'
import { AHEAD_MAX_MS, ClockTrust, JUMP_MAX_MS } from '../../src/log/clock-trust.ts'

const T0 = Date.UTC(2026, 0, 1)
const DAY_MS = 86_400_000

describe('clock trust', () => {
  it('records are about as new as the clock -> believed', () => {
    const trust = new ClockTrust()
    expect(trust.look({ wallMs: T0, monotonicMs: 0, newestRecordMs: T0 - 5_000 })).toBeNull()
    expect(trust.look({ wallMs: T0 + 60_000, monotonicMs: 60_000, newestRecordMs: T0 })).toBeNull()
  })

  it('STO-25: a start in 2100 -> in doubt until a record is that new', () => {
    const trust = new ClockTrust()
    const wallMs = Date.UTC(2100, 0, 1)
    expect(trust.look({ wallMs, monotonicMs: 0, newestRecordMs: T0 })).toBe('no record is that new')
    expect(trust.look({ wallMs: wallMs + 1, monotonicMs: 1, newestRecordMs: wallMs })).toBeNull()
  })

  it('a broker that was off for less than the bound -> believed; for longer -> in doubt', () => {
    const offFor = (ms: number) =>
      new ClockTrust().look({ wallMs: T0 + ms, monotonicMs: 0, newestRecordMs: T0 })
    expect(offFor(AHEAD_MAX_MS)).toBeNull()
    expect(offFor(AHEAD_MAX_MS + 1)).toBe('no record is that new')
  })

  it.each([
    ['forward', 20 * DAY_MS],
    ['back', -20 * DAY_MS],
  ])(
    'STO-25: the clock jumps %s by 20 days while it runs -> in doubt until a record confirms it',
    (_, jumpMs) => {
      const trust = new ClockTrust()
      expect(trust.look({ wallMs: T0, monotonicMs: 0, newestRecordMs: T0 })).toBeNull()
      const at = (ms: number, newestRecordMs: number) =>
        trust.look({ wallMs: T0 + jumpMs + ms, monotonicMs: ms, newestRecordMs })
      expect(at(1_000, T0)).toBe('it jumped')
      expect(at(2_000, T0)).toBe('it jumped')
      expect(at(3_000, T0 + jumpMs)).toBeNull()
      expect(at(4_000, T0 + jumpMs)).toBeNull()
    },
  )

  it('STO-39: small steps back and forth -> believed', () => {
    const trust = new ClockTrust()
    const newestRecordMs = T0 - DAY_MS
    trust.look({ wallMs: T0, monotonicMs: 0, newestRecordMs })
    expect(trust.look({ wallMs: T0 - JUMP_MAX_MS, monotonicMs: 0, newestRecordMs })).toBeNull()
    expect(trust.look({ wallMs: T0, monotonicMs: 10, newestRecordMs })).toBeNull()
  })

  it('no record at all -> in doubt, and there is nothing to delete', () => {
    expect(new ClockTrust().look({ wallMs: T0, monotonicMs: 0, newestRecordMs: -1 })).not.toBeNull()
  })
})
