import { describe, expect, it } from 'vitest'
import { createNodeCpu } from '../../../src/platform/node/node-cpu.ts'
import { SimulatedNetwork } from '../../../src/testing/network/simulated-network.ts'
import { Nemesis, type NemesisOptions } from '../../../src/testing/simulation/nemesis.ts'
import { RandomStreams } from '../../../src/testing/simulation/random-streams.ts'
import { SimulatedCluster } from '../../../src/testing/simulation/simulated-cluster.ts'
import { HEALTHY_DISK } from '../../../src/testing/simulation/simulated-disk.ts'
import type { SimulationKernel } from '../../../src/testing/simulation/simulation-kernel.ts'
import { FAULT_NAMES, type FaultName } from '../../../src/testing/simulation/simulation-plan.ts'
import { newKernel } from './kernels.ts'

const LINK = { latency: { minMs: 0.5, meanMs: 1 }, bytesPerMs: 100_000 }

/** A cluster of real nodes under a nemesis that knows only some faults. */
class Afflicted {
  readonly kernel: SimulationKernel
  readonly network: SimulatedNetwork
  readonly cluster: SimulatedCluster
  readonly nemesis: Nemesis
  readonly trace: string[] = []
  readonly struck: FaultName[] = []
  readonly diskFaults = new Set<string>()
  readonly flipped: number[] = []
  readonly foreign: number[] = []
  readonly wiped: number[] = []
  /** What became of links: `from>to` to the last of each setting. */
  readonly links = new Map<string, Record<string, unknown>>()
  mayStrikeAfterWipe = true

  constructor(
    faults: readonly FaultName[],
    options: Partial<NemesisOptions> & { readonly seed?: number } = {},
  ) {
    const { seed = 1, ...rest } = options
    const streams = new RandomStreams(seed)
    this.kernel = newKernel({ random: streams.stream('order') })
    const onTrace = (line: string): void => this.#note(line)
    const cpu = createNodeCpu()
    this.network = new SimulatedNetwork({
      random: streams.stream('network'),
      crc32c: (bytes) => cpu.crc32c(bytes),
      onEvent: onTrace,
      link: LINK,
    })
    this.cluster = new SimulatedCluster({
      kernel: this.kernel,
      streams,
      network: this.network,
      nodes: 3,
      voters: 3,
      settings: { 'controller.quorum.election.timeout.ms': 300, 'broker.session.timeout.ms': 1_500 },
      diskSpeed: { syncMs: 0.5, otherMs: 0.05 },
      onTrace,
      onDiskFault: (_, name) => this.diskFaults.add(name),
      onFailure: ({ node }) => this.nemesis.nodeEnded(this.cluster.node(node)),
      onLoggedError: () => {},
      onLogEvent: () => {},
    })
    this.nemesis = new Nemesis({
      kernel: this.kernel,
      random: streams.stream('nemesis'),
      cluster: this.cluster,
      network: this.network,
      plan: { faults, faultEveryMs: 300, faultLastsMs: 200, ...LINK },
      onTrace,
      onFault: (name) => this.struck.push(name),
      mayWipe: () => this.wiped.length === 0,
      onWiped: (id) => this.wiped.push(id),
      mayStrikeAfterWipe: () => this.mayStrikeAfterWipe,
      flipBit: (node) => this.flipped.push(node.id) > 0,
      addForeignFiles: (node) => this.foreign.push(node.id) > 0,
      ...rest,
    })
  }

  get areAllReady(): boolean {
    return this.cluster.nodes.every((node) => node.isReady)
  }

  async start(): Promise<this> {
    for (const node of this.cluster.nodes) node.start()
    await this.until(() => this.areAllReady)
    this.nemesis.start()
    return this
  }

  async advance(ms: number): Promise<void> {
    await this.kernel.run({ untilMs: this.kernel.nowMs + ms })
  }

  async until(condition: () => boolean): Promise<void> {
    const end = await this.kernel.run({ untilMs: this.kernel.nowMs + 60_000, afterEvent: condition })
    if (end !== 'condition') throw new Error(`not within a minute (${end})`)
  }

  async untilStruck(times = 1): Promise<void> {
    await this.until(() => this.struck.length >= times)
  }

  /** Starts what is down, as whoever runs the cluster would, until all are there. */
  async becomeWhole(): Promise<void> {
    await this.until(() => {
      for (const node of this.cluster.nodes) node.start()
      return this.areAllReady
    })
  }

  lines(pattern: RegExp): string[] {
    return this.trace.filter((line) => pattern.test(line))
  }

  #note(line: string): void {
    this.trace.push(line)
    const change = /^link (\S+) (.*)$/.exec(line)
    if (change === null) return
    const [, name, settings] = change
    const now = this.links.get(name!) ?? {}
    this.links.set(name!, { ...now, ...(JSON.parse(settings!) as object) })
  }
}

async function afflicted(
  faults: readonly FaultName[],
  options: ConstructorParameters<typeof Afflicted>[1] = {},
): Promise<Afflicted> {
  return await new Afflicted(faults, options).start()
}

/** What each fault must show on the cluster that it struck. */
const TRACES: Readonly<Record<FaultName, (of: Afflicted) => unknown>> = {
  kill: (of) => of.lines(/^node-\d is killed$/),
  'kill-all': (of) => of.lines(/^node-\d is killed$/).slice(2),
  'power-loss': (of) => of.lines(/^node-\d loses power$/),
  'power-loss-all': (of) => of.lines(/^node-\d loses power$/).slice(2),
  restart: (of) => of.lines(/^node-\d has stopped$/),
  'restart-all': (of) => of.lines(/^node-\d has stopped$/).slice(2),
  pause: (of) => of.lines(/^node-\d is resumed$/),
  'pause-kill': (of) => of.lines(/^node-\d is (paused|killed)$/).slice(2),
  partition: (of) => of.lines(/^partition node-.* \| /),
  cut: (of) => of.lines(/^link node-.*"blocked":true/),
  break: (of) => (of.network.counts.channelsBroken > 0 ? ['broken'] : []),
  'slow-link': (of) => of.lines(/^link node-.*"bytesPerMs":500\b/),
  'slow-disk': (of) => of.lines(/^fault slow-disk/),
  'short-writes': (of) => [...of.diskFaults].filter((name) => name === 'short-write'),
  'failed-sync': (of) => [...of.diskFaults].filter((name) => name === 'failed-sync'),
  'full-disk': (of) => [...of.diskFaults].filter((name) => name === 'disk-full'),
  clock: (of) =>
    of.cluster.nodes.filter(
      ({ run }) => Math.abs((run?.clock.wallMs() ?? 0) - Date.UTC(2026, 0, 1)) > 60_000,
    ),
  wipe: (of) => of.wiped,
  'bit-flip': (of) => of.flipped,
  'dead-flip': (of) => (of.flipped.length > 0 ? of.lines(/^node-\d is killed$/) : []),
  'stop-power-loss': (of) => of.lines(/^node-\d loses power$/),
  'foreign-files': (of) => of.foreign,
}

describe('Nemesis faults', () => {
  for (const name of FAULT_NAMES) {
    it(`SIM-9: ${name} -> strikes, and shows; stopped -> the cluster becomes whole`, async () => {
      // Nodes at rest write and fsync next to nothing; those that come back do.
      const needsWrites = name === 'failed-sync' || name === 'short-writes'
      const of = await afflicted(needsWrites ? [name, 'kill'] : [name])
      await of.until(() => of.struck.includes(name) && of.struck.length >= (name === 'wipe' ? 1 : 3))
      // So that what it set off comes to pass.
      await of.until(() => (TRACES[name](of) as readonly unknown[]).length > 0)
      of.nemesis.stop()
      for (const node of of.cluster.nodes) expect(node.disk.faults).toEqual(HEALTHY_DISK)
      const struck = of.struck.length
      const faults = of.lines(/^fault /).length
      await of.advance(5_000)
      await of.becomeWhole()
      expect([of.struck.length, of.lines(/^fault /).length]).toEqual([struck, faults])
    })
  }

  it('SIM-4: the same seed -> the same faults at the same times; another -> others', async () => {
    const run = async (seed: number): Promise<string> => {
      const of = await afflicted(['kill', 'partition', 'clock', 'pause'], { seed })
      await of.advance(3_000)
      return of.lines(/^(fault|partition|node-\d (is|loses))/).join('\n')
    }
    const first = await run(7)
    expect(first.split('\n').length).toBeGreaterThan(5)
    expect(await run(7)).toBe(first)
    expect(await run(8)).not.toBe(first)
  })

  it('no faults -> none', async () => {
    const of = await afflicted([])
    await of.advance(5_000)
    expect(of.lines(/^fault /)).toEqual([])
  })

  it('nodeEnded: a node has ended itself -> it is started again later', async () => {
    const of = await afflicted([])
    const node = of.cluster.node(2)
    node.run!.process.fail('on purpose', new Error('on purpose'))
    expect(node.run).toBe(null)
    await of.until(() => node.isReady)
    expect(node.run!.number).toBe(2)
  })

  it('wipe: may not -> does not; may -> once, on an empty disk', async () => {
    const refused = await afflicted(['wipe'], { mayWipe: () => false })
    await refused.advance(5_000)
    expect([refused.struck, refused.wiped]).toEqual([[], []])
    const of = await afflicted(['wipe'])
    await of.untilStruck()
    const node = of.cluster.node(of.wiped[0]!)
    expect(node.run).toBe(null)
    expect(node.disk.fileSystem.peekNames('/')).toEqual([])
    await of.advance(10_000)
    expect([of.struck, of.wiped.length, node.run !== null]).toEqual([['wipe'], 1, true])
  })

  it('wipe: the loss of another could cost records now -> no other fault until it cannot', async () => {
    const of = new Afflicted(['wipe', 'kill'])
    of.mayStrikeAfterWipe = false
    await of.start()
    await of.until(() => of.wiped.length > 0)
    const struck = of.struck.length
    await of.advance(10_000)
    expect(of.struck).toHaveLength(struck)
    of.mayStrikeAfterWipe = true
    await of.untilStruck(struck + 1)
  })
})

describe('Nemesis stop', () => {
  it('SIM-12: what was to follow from a fault -> does not: no restart of the next node, no start of a dead one', async () => {
    for (const [name, follows] of [
      ['restart-all', /^node-\d is told to stop$/],
      ['kill-all', /^node-\d starts run 2$/],
    ] as const) {
      const of = await afflicted([name])
      await of.untilStruck()
      of.nemesis.stop()
      const before = of.lines(follows).length
      expect(before).toBeLessThan(3)
      await of.advance(20_000)
      expect(of.lines(follows)).toHaveLength(before)
    }
  })

  it('SIM-12: after every kind of fault -> links, disks and processes are as they were, and stay so', async () => {
    const of = await afflicted(FAULT_NAMES.filter((name) => name !== 'wipe'))
    of.cluster.client({ name: 'reader' })
    await of.advance(6_000)
    // Whatever time it is when it stops, something is disturbed.
    of.network.cut('node-1', 'reader')
    of.network.partition([['node-1'], ['node-2', 'node-3']])
    of.network.setLink('node-2', 'reader', { latency: { minMs: 5, meanMs: 400 }, bytesPerMs: 500 })
    of.cluster.node(2).disk.faults = { slowness: 100, shortWrites: 200, failedSyncs: 50, full: true }
    of.cluster.node(3).start()
    of.cluster.node(3).pause()
    of.nemesis.stop()
    const check = (): void => {
      for (const node of of.cluster.nodes) {
        expect(node.disk.faults).toEqual(HEALTHY_DISK)
        expect(node.run?.clock.isPaused ?? false).toBe(false)
      }
      const names = ['node-1', 'node-2', 'node-3', 'reader']
      for (const from of names) {
        for (const to of names) {
          if (from === to) continue
          const { latency, bytesPerMs } = of.links.get(`${from}>${to}`)!
          expect([from, to, { latency, bytesPerMs }]).toEqual([from, to, LINK])
        }
      }
      expect(of.lines(/^(heal|partition)/).at(-1)).toBe('heal')
    }
    check()
    const lines = of.trace.length
    await of.becomeWhole()
    // Nothing of what was to come later comes: no second kill, no late end of a fault that would undo another.
    await of.advance(20_000)
    check()
    expect(
      of.trace.slice(lines).filter((line) => /^fault |is killed|loses power|is paused/.test(line)),
    ).toEqual([])
  })
})
