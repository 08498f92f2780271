import { describe, expect, it } from 'vitest'
import { LeaderBalancer } from '../../src/controller/leader-balancer.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

describe('LeaderBalancer', () => {
  it('checks after each interval, and no more once it is stopped', () => {
    const clock = new ManualClock()
    let checks = 0
    const balancer = new LeaderBalancer({ clock, intervalMs: () => 1_000, balance: () => checks++ })
    clock.advance(999)
    expect(checks).toBe(0)
    clock.advance(1)
    clock.advance(1_000)
    expect(checks).toBe(2)
    balancer.stop()
    clock.advance(5_000)
    expect(checks).toBe(2)
  })

  it('an interval of 0 -> never', () => {
    const clock = new ManualClock()
    let checks = 0
    new LeaderBalancer({ clock, intervalMs: () => 0, balance: () => checks++ })
    clock.advance(1_000_000)
    expect(checks).toBe(0)
  })

  it('another interval -> counts from the change on; the same one -> the check stays where it was', () => {
    const clock = new ManualClock()
    let checks = 0
    let intervalMs = 1_000
    const balancer = new LeaderBalancer({ clock, intervalMs: () => intervalMs, balance: () => checks++ })
    clock.advance(900)
    balancer.settingsChanged()
    clock.advance(100)
    expect(checks).toBe(1)
    clock.advance(900)
    intervalMs = 300
    balancer.settingsChanged()
    clock.advance(299)
    expect(checks).toBe(1)
    clock.advance(301)
    expect(checks).toBe(3)
    intervalMs = 0
    balancer.settingsChanged()
    clock.advance(10_000)
    expect(checks).toBe(3)
    intervalMs = 50
    balancer.settingsChanged()
    clock.advance(50)
    expect(checks).toBe(4)
  })
})
