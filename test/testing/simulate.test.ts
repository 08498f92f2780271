import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { NodePoison, PoisonError } from '../../src/platform/node/node-poison.ts'
import type { Simulation } from '../../src/testing/scenario/simulation.ts'
import { simulate, simulateMany } from '../../src/testing/simulate.ts'
import type { SimulateManyOptions, SimulateOptions } from '../../src/testing/simulate-options.ts'
import { SimulationError } from '../../src/testing/simulation-error.ts'

const TOPICS = [{ name: 't' }]
const decoder = new TextDecoder()

/** What a simulation that must fail fails with. */
async function errorOf(run: Promise<unknown>): Promise<SimulationError> {
  const thrown: unknown = await run.then(
    () => null,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(SimulationError)
  return thrown as SimulationError
}

/** Sends ten records beside a process that reads them; resolves with what it read. */
async function sendAndRead(sim: Simulation): Promise<readonly string[]> {
  const read: string[] = []
  sim.process('reader', async (process) => {
    for await (const { value } of process.client().consumer({ topic: 't', from: 'beginning' })) {
      read.push(decoder.decode(value!))
      await process.sleep(10)
    }
  })
  const producer = sim.client().producer()
  for (let i = 0; i < 10; i++) {
    await producer.send({ topic: 't', value: `record ${i}` })
    await sim.sleep(300)
  }
  await sim.quiesce()
  await sim.until(() => read.includes('record 9'))
  return read
}

describe('simulate: a run', () => {
  it('SIM-3: the same seed twice -> the same events, faults, times and trace; another seed -> others', async () => {
    const options = { seed: 3, topics: TOPICS, faultEveryMs: 300 }
    const first = await simulate(options, sendAndRead)
    expect(first.seed).toBe(3)
    expect(new Set(first.value).size).toBe(10)
    expect(Object.values(first.faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3)
    expect(await simulate(options, sendAndRead)).toEqual(first)
    expect((await simulate({ ...options, seed: 4 }, sendAndRead)).digest).not.toBe(first.digest)
  })

  it('no faults -> none strikes, and each record comes once', async () => {
    const { value, faults } = await simulate({ seed: 1, topics: TOPICS, faults: [] }, sendAndRead)
    expect(faults).toEqual({})
    expect(value).toEqual(Array.from({ length: 10 }, (_, i) => `record ${i}`))
  })

  it('faults by name -> only those strike', async () => {
    const options: SimulateOptions = {
      seed: 1,
      faults: ['kill', 'crash-process'],
      faultEveryMs: 200,
      faultLastsMs: 100,
    }
    const { faults } = await simulate(options, async (sim) => {
      sim.process('idle', (process) => process.sleep(1e6))
      await sim.sleep(10_000)
      await sim.quiesce()
    })
    expect(Object.keys(faults).sort()).toEqual(['crash-process', 'kill'])
  })

  it('disks at their worst end their brokers -> that is no failure, and nothing is lost', async () => {
    const options: SimulateOptions = {
      seed: 2,
      topics: TOPICS,
      faults: ['failed-sync', 'full-disk', 'short-writes'],
      faultEveryMs: 500,
    }
    const { value, faults } = await simulate(options, sendAndRead)
    expect(new Set(value).size).toBe(10)
    expect(faults['failed-sync']).toBeGreaterThan(0)
  })

  it('virtual time: an hour passes at once, on all clocks', async () => {
    const options = { seed: 1, brokers: 1, faults: [], limitMs: 2 * 3_600_000 }
    const { value, virtualMs } = await simulate(options, async (sim) => {
      const [wallMs, startMs] = [sim.clock.wallMs(), sim.clock.monotonicMs()]
      await sim.sleep(3_600_000)
      return [sim.clock.wallMs() - wallMs, sim.clock.monotonicMs() - startMs]
    })
    expect(value[0]).toBeCloseTo(3_600_000, -1)
    expect(value[1]).toBeCloseTo(3_600_000, 3)
    expect(virtualMs).toBeGreaterThan(3_600_000)
  })

  it('a scenario without a promise: its value is the result', async () => {
    expect((await simulate({ seed: 1, brokers: 1 }, (sim) => sim.seed + 1)).value).toBe(2)
  })

  it('the trace: its lines come as they are made, those of the scenario among them', async () => {
    const lines: string[] = []
    await simulate({ seed: 1, brokers: 1, onLine: (line) => lines.push(line) }, (sim) => sim.log('here I am'))
    expect(lines[0]).toMatch(/^0\.000 seed 1 /)
    expect(lines.some((line) => line.endsWith(' here I am'))).toBe(true)
  })
})

describe('simulate: failures', () => {
  it('the scenario throws -> the error has the seed, the call that repeats it, the time, the end of the trace, the cause', async () => {
    const cause = new Error('balance is 670')
    const options = { seed: 7, topics: TOPICS, faults: ['kill'] } as const
    const error = await errorOf(
      simulate(options, async (sim) => {
        await sim.sleep(1_000)
        sim.log('about to fail')
        throw cause
      }),
    )
    expect(error.cause).toBe(cause)
    expect(error.seed).toBe(7)
    expect(error.virtualMs).toBeGreaterThan(1_000)
    expect(error.repro).toBe('simulate({ seed: 7, topics: [{"name":"t"}], faults: ["kill"] }, scenario)')
    expect(error.trace.at(-1)).toMatch(/about to fail$/)
    expect(error.message).toMatch(
      /^seed 7, [\d.]+ ms of virtual time, event \d+: the scenario threw Error: balance is 670\n/,
    )
    expect(error.message).toContain(`run it again: ${error.repro}\n`)
    expect(error.message).toMatch(/about to fail$/)
  })

  it('the scenario never settles -> it fails at its limit, and says what may be the reason', async () => {
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1, limitMs: 5_000 }, () => new Promise<void>(() => {})),
    )
    expect(error.message).toContain('the scenario did not end within 5000 ms of virtual time (limitMs).')
    expect(error.message).toContain('or for something real')
    expect(error.virtualMs).toBeGreaterThanOrEqual(5_000)
  })

  it('the scenario starts itself anew without a delay -> it fails', async () => {
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1 }, async (sim) => {
        for (;;) await sim.sleep(0)
      }),
    )
    expect(error.message).toContain('time stands still')
  })

  it('a topic that cannot be made -> the error of the broker', async () => {
    const error = await errorOf(
      simulate({ seed: 1, topics: [{ name: 't', replicationFactor: 9 }] }, () => {}),
    )
    expect(error.message).toContain('making the topics threw VltavaError INVALID_REPLICATION_FACTOR')
  })

  it('a condition that does not hold in time -> the error says which', async () => {
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1, faults: [] }, (sim) =>
        sim.until(() => false, { what: 'peace', timeoutMs: 50 }),
      ),
    )
    expect(error.message).toContain('not within 50 ms of virtual time: peace')
  })

  it('two at once in one process -> the second is refused, and the first goes on', async () => {
    const first = simulate({ seed: 1, brokers: 1, faults: [] }, (sim) => sim.sleep(1_000))
    await expect(simulate({ seed: 2 }, () => {})).rejects.toThrow(/another simulation runs in this process/)
    expect((await first).seed).toBe(1)
  })
})

describe('simulate: what is real', () => {
  const uses: readonly (readonly [name: string, use: () => unknown])[] = [
    ['Date.now', () => Date.now()],
    ['Date', () => new Date()],
    ['performance.now', () => performance.now()],
    ['setTimeout', () => setTimeout(() => {}, 0)],
    ['setImmediate', () => setImmediate(() => {})],
    ['Math.random', () => Math.random()],
    ['crypto.randomUUID', () => crypto.randomUUID()],
    ['fetch', () => fetch('http://127.0.0.1:1')],
    ['readFile of node:fs/promises', () => readFile('/dev/null')],
  ]

  it.each(uses)('SIM-2: %s in the scenario -> the error says what, and where', async (name, use) => {
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1 }, async (sim) => {
        await sim.sleep(10)
        await use()
      }),
    )
    expect(error.cause).toBeInstanceOf(PoisonError)
    expect(error.message).toContain(`: ${name} was used inside of a simulation.`)
    expect(error.message).toMatch(/It was at [^\n]*simulate\.test\.ts:\d+:\d+\./)
  })

  it('in the first turn of the scenario, and in a process -> found as well', async () => {
    expect((await errorOf(simulate({ seed: 1, brokers: 1 }, () => Date.now()))).message).toContain(
      'Date.now was used',
    )
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1 }, async (sim) => {
        sim.process('clock-reader', () => {
          new Date()
        })
        await sim.sleep(100)
      }),
    )
    expect(error.message).toContain('Date was used')
  })

  it('the error is caught by the code that made it -> the simulation fails all the same', async () => {
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1 }, async (sim) => {
        try {
          Math.random()
        } catch {
          await sim.sleep(10)
        }
      }),
    )
    expect(error.message).toContain('Math.random was used')
  })

  it('something real wakes the scenario -> an error says so, instead of a run that differs each time', async () => {
    let wake = (): void => {}
    const interval = setInterval(() => wake(), 1)
    const error = await errorOf(
      simulate({ seed: 1, brokers: 1 }, async (sim) => {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        await sim.sleep(10)
      }),
    )
    clearInterval(interval)
    expect(error.message).toContain('ran outside of the simulation: it waited for something real')
  })

  it('a date that is given, and sums: are free', async () => {
    const { value } = await simulate({ seed: 1, brokers: 1 }, (sim) =>
      new Date(sim.clock.wallMs()).getUTCFullYear(),
    )
    expect(value).toBe(2026)
  })

  it('after a simulation, however it went -> everything real is back', async () => {
    const real = { setTimeout: globalThis.setTimeout, Date: globalThis.Date, random: Math.random }
    await simulate({ seed: 1, brokers: 1 }, () => {
      expect(NodePoison.isInstalled).toBe(true)
    })
    await errorOf(simulate({ seed: 1, brokers: 1 }, () => Math.random()))
    expect(NodePoison.isInstalled).toBe(false)
    expect({ setTimeout: globalThis.setTimeout, Date: globalThis.Date, random: Math.random }).toEqual(real)
  })
})

describe('simulate: processes', () => {
  const quiet = { seed: 1, brokers: 1, faults: [] } as const

  it('a crash: what the process awaited never comes, and the next run begins with what was kept outside', async () => {
    const steps: string[] = []
    await simulate(quiet, async (sim) => {
      const worker = sim.process('worker', async (process) => {
        steps.push(`run ${process.run} begins`)
        await process.sleep(100)
        steps.push(`run ${process.run} ends`)
      })
      await sim.sleep(50)
      worker.crash()
      worker.crash()
      expect(worker.isRunning).toBe(false)
      await sim.sleep(200)
      worker.restart()
      await sim.until(() => worker.isFinished)
      expect(worker.runs).toBe(2)
    })
    expect(steps).toEqual(['run 1 begins', 'run 2 begins', 'run 2 ends'])
  })

  it('the fault: kills at any moment, and starts anew', async () => {
    const options: SimulateOptions = {
      ...quiet,
      faults: ['crash-process'],
      faultEveryMs: 100,
      faultLastsMs: 20,
    }
    const { value, faults } = await simulate(options, async (sim) => {
      const worker = sim.process('worker', (process) => process.sleep(1e6))
      await sim.sleep(5_000)
      await sim.quiesce()
      expect(worker.isRunning).toBe(true)
      return worker.runs
    })
    expect(value).toBeGreaterThan(10)
    expect(value).toBe(faults['crash-process']! + 1)
  })

  it('a client of a process that is killed: its send does not come back', async () => {
    const outcomes: string[] = []
    await simulate({ ...quiet, topics: TOPICS }, async (sim) => {
      const sender = sim.process('sender', async (process) => {
        await process.client().producer().send({ topic: 't', value: 'a' })
        outcomes.push('sent')
      })
      await sim.sleep(0.01)
      sender.crash()
      await sim.sleep(60_000)
    })
    expect(outcomes).toEqual([])
  })

  it('main throws -> the simulation fails; with onError restart the process starts again', async () => {
    const cause = new Error('broken')
    const error = await errorOf(
      simulate(quiet, async (sim) => {
        sim.process('worker', () => {
          throw cause
        })
        await sim.sleep(1_000)
      }),
    )
    expect(error.message).toContain('process worker threw Error: broken')
    expect(error.cause).toBe(cause)
    const { value } = await simulate(quiet, async (sim) => {
      const worker = sim.process(
        'worker',
        (process) => {
          if (process.run < 3) throw cause
        },
        { onError: 'restart' },
      )
      await sim.until(() => worker.isFinished)
      return worker.runs
    })
    expect(value).toBe(3)
  })

  it('bad input -> says what, and what is allowed', async () => {
    await simulate(quiet, async (sim) => {
      const main = (): void => {}
      sim.process('worker', main)
      expect(() => sim.process('worker', main)).toThrow('process: there is a process "worker" already')
      expect(() => sim.process('Worker', main)).toThrow(/process: the name must be small letters/)
      expect(() => sim.process('node-1', main)).toThrow(/process: the name must be small letters/)
      expect(() => sim.process('other', 7 as unknown as () => void)).toThrow(
        'main of "other" must be a function',
      )
      expect(() => sim.process('other', main, { onError: 'ignore' as 'fail' })).toThrow(
        /onError must be "fail" or "restart"/,
      )
      await sim.sleep(10)
    })
  })
})

describe('simulate: the cluster by hand', () => {
  const quiet = { seed: 1, topics: TOPICS, faults: [] } as const

  it('the leader is killed -> sends go on at another; quiesce brings the first one back', async () => {
    await simulate(quiet, async (sim) => {
      const client = sim.client()
      const producer = client.producer()
      await producer.send({ topic: 't', value: 'a' })
      const { leader } = (await client.admin.describeTopic('t')).partitions[0]!
      sim.cluster.kill(leader!)
      expect((await producer.send({ topic: 't', value: 'b' })).offset).toBe(1)
      expect(sim.cluster.isReady).toBe(false)
      await sim.quiesce()
      expect(sim.cluster.isReady).toBe(true)
      const [partition] = (await client.admin.describeTopic('t')).partitions
      expect(partition!.leader).not.toBe(leader)
      expect(partition!.isr).toContain(leader)
    })
  })

  it('all lose their power, one is paused, one stops -> quiesce makes them whole, and what was acknowledged is there', async () => {
    await simulate(quiet, async (sim) => {
      await sim.client().producer().send({ topic: 't', value: 'kept' })
      for (const id of [1, 2, 3]) sim.cluster.losePower(id)
      for (const id of [1, 2, 3]) sim.cluster.restart(id)
      await sim.until(() => sim.cluster.isReady)
      sim.cluster.stop(1)
      sim.cluster.pause(2)
      await sim.sleep(100)
      sim.cluster.resume(2)
      await sim.quiesce()
      for await (const { value } of sim.client().consumer({ topic: 't', from: 'beginning' })) {
        expect(decoder.decode(value!)).toBe('kept')
        break
      }
    })
  })

  it('a process is cut off -> its send waits until the network is whole again', async () => {
    await simulate(quiet, async (sim) => {
      let sentMs = 0
      sim.process('sender', async (process) => {
        await process.client().producer().send({ topic: 't', value: 'a' })
        sentMs = sim.clock.monotonicMs()
      })
      sim.cluster.partition(['sender'], [1, 2, 3])
      await sim.sleep(5_000)
      expect(sentMs).toBe(0)
      expect((await sim.client().producer().send({ topic: 't', value: 'b' })).offset).toBe(0)
      sim.cluster.heal()
      await sim.until(() => sentMs > 0)
    })
  })

  it('bad input -> says what there is', async () => {
    await simulate(quiet, (sim) => {
      sim.process('worker', () => {})
      expect(sim.cluster.brokers).toBe(3)
      expect(() => sim.cluster.kill(4)).toThrow('There is no broker 4; they are 1 to 3.')
      expect(() => sim.cluster.partition([1], [1])).toThrow('partition: 1 is in both groups')
      expect(() => sim.cluster.partition([1], ['nobody'])).toThrow(
        'There is no party "nobody"; there are the ids of the brokers, and scenario, worker.',
      )
      expect(() => sim.client({ retryBackoffMs: 0 })).toThrow(/option "retryBackoffMs" must be an integer/)
    })
  })
})

describe('simulateMany', () => {
  it('all seeds pass -> how many, and what happened in all', async () => {
    const seen: number[] = []
    const summary = await simulateMany(
      { seeds: 3, from: 10, brokers: 1, faults: ['pause'], faultEveryMs: 100 },
      async (sim) => {
        seen.push(sim.seed)
        await sim.sleep(2_000)
      },
    )
    expect(seen).toEqual([10, 11, 12])
    expect(summary.seeds).toBe(3)
    expect(summary.virtualMs).toBeGreaterThan(6_000)
    expect(summary.events).toBeGreaterThan(0)
    expect(summary.faults['pause']).toBeGreaterThan(3)
  })

  it('a seed fails -> it is the one of the error, the call repeats it alone, and no other runs', async () => {
    const seen: number[] = []
    const scenario = (sim: Simulation): void => {
      seen.push(sim.seed)
      if (sim.seed === 3) throw new Error('three')
    }
    const error = await errorOf(simulateMany({ seeds: 5, brokers: 1 }, scenario))
    expect(seen).toEqual([1, 2, 3])
    expect(error.seed).toBe(3)
    expect(error.repro).toBe('simulate({ seed: 3, brokers: 1 }, scenario)')
    const again = await errorOf(simulate({ seed: 3, brokers: 1 }, scenario))
    expect(again.message).toBe(error.message)
  })
})

describe('simulate: bad input', () => {
  const nothing = (): void => {}

  it.each([
    [undefined, /simulate: the options must be an object such as \{ seed: 1 \}, got undefined/],
    [{}, /option "seed" must be an integer from 0 to 4294967295, got undefined/],
    [{ seed: -1 }, /option "seed" must be an integer from 0 to 4294967295, got -1/],
    [{ seed: 2 ** 32 }, /option "seed" must be an integer from 0 to 4294967295, got 4294967296/],
    [{ seed: '1' }, /option "seed" must be an integer from 0 to 4294967295, got "1"/],
    [
      { seed: 1, faults: ['kil'] },
      /option "faults" must be a list with names of kill, .*crash-process, got \["kil"\]/,
    ],
    [{ seed: 1, faults: ['wipe'] }, /option "faults" must be a list with names of/],
    [{ seed: 1, faults: 'kill' }, /option "faults" must be a list with names of/],
    [{ seed: 1, brokers: 10 }, /option "brokers" must be an integer from 1 to 9, got 10/],
    [{ seed: 1, topics: 't' }, /option "topics" must be a list of what admin.createTopic takes, got "t"/],
    [{ seed: 1, limitMs: 1 }, /option "limitMs" must be an integer from 1000 to 86400000, got 1/],
    [
      { seed: 1, faultEveryMs: 1 },
      /option "faultEveryMs" must be an integer from 10 to 600000, or null, got 1/,
    ],
    [{ seed: 1, onLine: 7 }, /option "onLine" must be a function or null, got 7/],
    [{ seed: 1, settings: { 'no.such': 1 } }, /simulate: settings: there is no setting "no.such"/],
    [{ seed: 1, fault: [] }, /simulate: there is no option "fault"; there are seed, faults, brokers, topics/],
  ])('%j -> says what, and what is allowed', async (options, message) => {
    await expect(simulate(options as unknown as SimulateOptions, nothing)).rejects.toThrow(message)
  })

  it.each([
    [{}, /option "seeds" must be an integer from 1 to 1000000, got undefined/],
    [{ seeds: 0 }, /option "seeds" must be an integer from 1 to 1000000, got 0/],
    [{ seeds: 2, from: 2 ** 32 - 1 }, /simulateMany: 2 seeds from 4294967295 go beyond 4294967295/],
    [{ seeds: 2, from: 0.5 }, /option "from" must be an integer from 0 to 4294967295, got 0.5/],
    [{ seeds: 2, seed: 1 }, /simulateMany: there is no option "seed"/],
  ])('%j of many -> says what, and what is allowed', async (options, message) => {
    await expect(simulateMany(options as unknown as SimulateManyOptions, nothing)).rejects.toThrow(message)
  })

  it('no scenario -> says so', async () => {
    await expect(simulate({ seed: 1 }, 'x' as unknown as () => void)).rejects.toThrow(
      /must be a function, the scenario/,
    )
    await expect(simulateMany({ seeds: 1 }, null as unknown as () => void)).rejects.toThrow(
      /must be a function/,
    )
  })
})
