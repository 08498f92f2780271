import { describe, expect, it } from 'vitest'
import { IDLE_COUNTS, Simulation, type SimulationCounts } from './simulation.ts'

const STEPS = 1_000
const SEEDS = 200

/** One seed to replay a failure, else all of them. */
function seeds(): number[] {
  const { SIMULATION_SEED: replayed } = process.env
  return replayed === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(replayed)]
}

describe('three replicas under seeded faults', () => {
  it('INV-1, 3, 4, 5, 6, 7, 11, 13, 15, 16: any faults -> hold after each step; nothing acknowledged is lost; all heal', () => {
    const total: SimulationCounts = { ...IDLE_COUNTS }
    for (const seed of seeds()) {
      const simulation = new Simulation(seed)
      simulation.run(STEPS)
      for (const name of Object.keys(total) as (keyof SimulationCounts)[])
        total[name] += simulation.counts[name]
    }
    // A simulation in which nothing happens would find nothing.
    if (seeds().length > 1) {
      for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(50)
    }
  })
})
