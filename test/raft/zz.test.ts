import { it } from 'vitest'
import { simulate } from './simulation.ts'
it('sweep', () => { for (const voters of [1, 2, 3, 4, 5, 7]) for (let i = 0; i < 400; i++) simulate({ seed: 4_000_000 + i, voters, steps: 6000 }) }, 600000)
