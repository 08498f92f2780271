import { afterEach, describe, expect, it, vi } from 'vitest'
import { NodePoison } from '../../../src/platform/node/node-poison.ts'
import { ClusterInvariants } from '../../../src/testing/simulation/invariants/cluster-invariants.ts'
import { InvariantViolation } from '../../../src/testing/simulation/invariants/violation.ts'
import { FAULT_NAMES } from '../../../src/testing/simulation/simulation-plan.ts'
import {
  runSimulation,
  type SimulationOptions,
  type SimulationResult,
} from '../../../src/testing/simulation/simulation-run.ts'

/** Enough for a cluster to be born, to be used and to be harmed. */
const SOME_EVENTS = 4_000
/** A short one with few clients, under several faults. */
const WHOLE_SEED = 2_049

afterEach(() => {
  vi.restoreAllMocks()
})

async function someOf(seed: number, options: Partial<SimulationOptions> = {}): Promise<SimulationResult> {
  return await runSimulation({ seed, eventsMax: SOME_EVENTS, ...options })
}

/** A seed from its start to its end, with everything real out of its reach. */
async function poisoned(
  seed: number,
): Promise<{ readonly result: SimulationResult; readonly used: string[] }> {
  const used: string[] = []
  const poison = new NodePoison(({ message }) => used.push(message))
  try {
    const result = await runSimulation({
      seed,
      onTurn: { begin: () => poison.begin(), end: () => poison.end() },
    })
    return { result, used }
  } finally {
    poison.remove()
  }
}

describe('runSimulation', () => {
  it('SIM-4: the same seed twice in one process, with and without the poison -> the same run', async () => {
    const first = await poisoned(WHOLE_SEED)
    const { failure, marks, operations, acknowledged, plan } = first.result
    expect([failure, first.used]).toEqual([null, []])
    expect(plan.faults.length).toBeGreaterThan(0)
    expect(operations).toBeGreaterThan(0)
    expect(acknowledged).toBeGreaterThan(0)
    expect([...marks.keys()].some((name) => name.startsWith('fault '))).toBe(true)
    const again = await runSimulation({ seed: WHOLE_SEED })
    expect(again).toEqual(first.result)
    expect(again.prefixes.length).toBeGreaterThan(2)
  })

  it('SIM-4: seeds one apart -> other plans, other digests', async () => {
    const digests = new Set<string>()
    for (const seed of [0, 1, 2, 3, 2 ** 32 - 1])
      digests.add((await someOf(seed, { eventsMax: 1_000 })).digest)
    expect(digests.size).toBe(5)
  })

  it('SIM-6: invariants off -> the same trace, as checking draws and changes nothing', async () => {
    const on = await someOf(5)
    const off = await someOf(5, { invariants: false })
    expect([off.digest, off.events]).toEqual([on.digest, on.events])
  })

  it('SIM-7: eventsMax -> stops there without a failure, and is a prefix of the whole run', async () => {
    const lines: string[] = []
    const short = await someOf(5, { eventsMax: 500 })
    const long = await someOf(5, { eventsMax: 1_500, onLine: (line) => lines.push(line) })
    expect([short.failure, short.events, long.failure, long.events]).toEqual([null, 500, null, 1_500])
    expect(short.recent).toEqual(lines.slice(lines.indexOf(short.recent[0]!)).slice(0, short.recent.length))
    expect(long.recent).toEqual(lines.slice(-200))
  })

  it('SIM-3: onLine -> every line of the trace, the plan first, in the order of time', async () => {
    const lines: string[] = []
    const { plan } = await someOf(6, { onLine: (line) => lines.push(line) })
    expect(lines[0]).toBe(`0.000 seed 6 ${JSON.stringify(plan)}`)
    const times = lines.map((line) => Number(line.split(' ')[0]))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    for (const what of [/ node-1 disk #\d+ sync /, / node-1 info /, / producer-1 ok /, /node-1:1 #\d+/])
      expect([what, lines.some((line) => what.test(line))]).toEqual([what, true])
  })

  it('SIM-23: faults -> none but those; none at all -> none', async () => {
    for (const faults of [[], ['kill-all', 'clock']] as const) {
      const { marks, failure } = await runSimulation({ seed: WHOLE_SEED, faults })
      expect(failure).toBe(null)
      expect(FAULT_NAMES.filter((name) => marks.has(`fault ${name}`))).toEqual(faults)
    }
  })

  it('SIM-7: an invariant does not hold -> the failure names it, its event and moment; the trace ends there', async () => {
    let calls = 0
    vi.spyOn(ClusterInvariants.prototype, 'check').mockImplementation(() => {
      if (++calls === 777) throw new InvariantViolation('INV-7', 'made up')
    })
    const lines: string[] = []
    const { failure, events, virtualMs, recent, digest } = await someOf(5, {
      onLine: (line) => lines.push(line),
    })
    expect(failure).toEqual({
      what: 'InvariantViolation: INV-7: made up',
      atEvent: 777,
      atMs: virtualMs,
    })
    expect(events).toBe(777)
    expect(virtualMs).toBeGreaterThan(0)
    expect(recent).toEqual(lines.slice(-200))
    expect(digest).toMatch(/^[0-9a-f]{64}$/)
    calls = 0
    expect((await someOf(5)).failure).toEqual(failure)
  })

  it('SIM-7: simulated code throws where nobody catches -> a failure with its words and causes', async () => {
    let turns = 0
    const { failure } = await someOf(5, {
      onTurn: {
        begin: () => {
          if (++turns === 10) throw new RangeError('outer', { cause: new Error('inner') })
        },
        end: () => {},
      },
    })
    // Nine turns of 64 events went before.
    expect(failure).toMatchObject({ what: 'RangeError: outer (because of inner)', atEvent: 576 })
  })

  it('CHK-19: a record is acknowledged that nobody committed -> the run fails with it', async () => {
    vi.spyOn(ClusterInvariants.prototype, 'acknowledged').mockImplementation((key, offset) => {
      throw new InvariantViolation('CHK-19', `offset ${offset} of partition ${key.partition}`)
    })
    const { failure, acknowledged } = await runSimulation({ seed: WHOLE_SEED })
    expect(failure?.what).toMatch(/^InvariantViolation: CHK-19: offset \d+ of partition \d+$/)
    expect(acknowledged).toBeGreaterThan(0)
  })

  it('CHK-19: a topic is used that no node knows -> the run fails with it; without invariants -> not asked', async () => {
    vi.spyOn(ClusterInvariants.prototype, 'topicId').mockReturnValue(null)
    const { failure } = await runSimulation({ seed: WHOLE_SEED })
    expect(failure?.what).toMatch(/^CHK-19: t\d.* was used, but no node knows it$/)
    expect((await runSimulation({ seed: WHOLE_SEED, invariants: false })).failure).toBe(null)
  })
})
