import { describe, expect, it } from 'vitest'
import { KEEPALIVE_TIMEOUT_MS } from '../../../src/model/limits.ts'
import { CLOSE_CODES } from '../../../src/net/close-codes.ts'
import { MemoryNetwork } from '../../../src/net/memory-transport.ts'
import type { Channel, Listener } from '../../../src/net/transport.ts'
import { createNodeClock } from '../../../src/platform/node/node-clock.ts'
import {
  type ControlledEndpoint,
  ControlledNetwork,
} from '../../../src/testing/cluster/controlled-network.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { ChannelProbe, describeTransportContract } from '../../contracts/transport-contract.ts'

const URL_B = 'ws://b:1'
const DIAL = { timeoutMs: 1_000, isPeer: true }

describeTransportContract({
  name: 'controlled',
  create: () => {
    const clock = createNodeClock()
    const memory = new MemoryNetwork(clock)
    const network = new ControlledNetwork({ clock, endpoint: (party) => memory.endpoint(party) })
    return { transport: network.endpoint('dialer'), listeners: network.endpoint('listener') }
  },
  abortCode: 1006,
})

class World {
  readonly clock = new ManualClock()
  readonly network: ControlledNetwork
  readonly a: ControlledEndpoint
  readonly b: ControlledEndpoint
  /** Those that b accepted. */
  readonly accepted: ChannelProbe[] = []

  private constructor() {
    const memory = new MemoryNetwork(this.clock)
    this.network = new ControlledNetwork({ clock: this.clock, endpoint: (party) => memory.endpoint(party) })
    this.network.setOwner(URL_B, 'b')
    this.a = this.network.endpoint('a')
    this.b = this.network.endpoint('b')
  }

  static async create(): Promise<World> {
    const world = new World()
    await world.listen(world.b)
    return world
  }

  listen(endpoint: ControlledEndpoint): Promise<Listener> {
    const onChannel = (channel: Channel): void => void this.accepted.push(new ChannelProbe(channel).start())
    return endpoint.listen({ host: 'b', port: 1, onChannel })
  }

  /** Lets time pass, and what hangs on it. */
  async pass(ms = 0): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.clock.advance(i === 0 ? ms : 0)
      await Promise.resolve()
    }
  }

  async dial(): Promise<ChannelProbe> {
    const dialling = this.a.connect(URL_B, DIAL)
    await this.pass()
    return new ChannelProbe(await dialling).start()
  }
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

describe('a partition', () => {
  it('what is sent either way waits, and comes in order when it is healed', async () => {
    const world = await World.create()
    const probe = await world.dial()
    const other = world.accepted[0]!
    world.network.partition(['a'], ['b'])
    for (const value of [1, 2]) {
      probe.channel.send([bytes(value), bytes(value)])
      other.channel.send([bytes(10 * value)])
    }
    await world.pass(1_000)
    expect([probe.messages, other.messages]).toEqual([[], []])
    expect(probe.channel.bufferedBytes).toBe(4)
    world.network.heal()
    await world.pass()
    expect(probe.messages).toEqual([bytes(10), bytes(20)])
    expect(other.messages).toEqual([bytes(1, 1), bytes(2, 2)])
    expect(probe.channel.bufferedBytes).toBe(0)
    expect([...probe.closes, ...other.closes]).toEqual([])
  })

  it('of others: does nothing to this link', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.network.partition(['a'], ['c'])
    world.accepted[0]!.channel.send([bytes(1)])
    await world.pass()
    expect(probe.messages).toEqual([bytes(1)])
  })

  it('healed and cut again in one turn -> what was sent still waits', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.network.partition(['a'], ['b'])
    probe.channel.send([bytes(1)])
    world.network.heal()
    world.network.partition(['b'], ['a'])
    await world.pass()
    expect(world.accepted[0]!.messages).toEqual([])
    world.network.heal()
    await world.pass()
    expect(world.accepted[0]!.messages).toEqual([bytes(1)])
  })

  it('a dial: hangs, and goes on when it is healed in time', async () => {
    const world = await World.create()
    world.network.partition(['a'], ['b'])
    const dialling = world.a.connect(URL_B, DIAL)
    await world.pass(900)
    expect(world.accepted).toEqual([])
    world.network.heal()
    await world.pass()
    expect((await dialling).remoteAddress).toBe('b:1')
  })

  it('a dial: hangs until its time is up, or until the caller gives up', async () => {
    const world = await World.create()
    world.network.partition(['a'], ['b'])
    const late = expect(world.a.connect(URL_B, DIAL)).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: 'ws://b:1: no channel was opened within 1000 ms.',
    })
    const controller = new AbortController()
    const given = expect(world.a.connect(URL_B, { ...DIAL, signal: controller.signal })).rejects.toThrow(
      'ws://b:1: the caller gave up.',
    )
    await world.pass(500)
    controller.abort()
    await given
    await world.pass(500)
    await late
    expect(world.clock.pendingTimers).toBe(0)
  })

  it('a channel that is closed meanwhile: this end hears of it at once, the other one when it is healed', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.network.partition(['a'], ['b'])
    probe.channel.send([bytes(1)])
    probe.channel.close(4000, 'bye')
    probe.channel.abort()
    await world.pass()
    expect(probe.closes).toEqual([{ code: 4000, reason: 'bye' }])
    expect(probe.channel.bufferedBytes).toBe(0)
    expect(world.accepted[0]!.closes).toEqual([])
    world.network.heal()
    await world.pass()
    expect(world.accepted[0]!.messages).toEqual([bytes(1)])
    expect(world.accepted[0]!.closes).toEqual([{ code: 4000, reason: 'bye' }])
    expect(probe.closes).toHaveLength(1)
  })

  it('a channel that is cut for long: is given up, as when pings are not answered', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.network.partition(['a'], ['b'])
    await world.pass(KEEPALIVE_TIMEOUT_MS)
    expect(probe.closes.map(({ code }) => code)).toEqual([CLOSE_CODES.KEEPALIVE_TIMEOUT.code])
    expect(world.accepted[0]!.closes).toEqual([])
    world.network.heal()
    await world.pass()
    expect(world.accepted[0]!.closes.map(({ code }) => code)).toEqual([1006])
  })

  it('the other end is gone meanwhile -> this one hears of it when it is healed', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.network.partition(['a'], ['b'])
    const dying = world.b.die()
    await world.pass()
    await dying
    expect(probe.closes).toEqual([])
    world.network.heal()
    await world.pass()
    expect(probe.closes.map(({ code }) => code)).toEqual([1006])
  })
})

describe('a process that dies', () => {
  it('its channels: it hears nothing, the other end sees 1006', async () => {
    const world = await World.create()
    const probe = await world.dial()
    world.accepted[0]!.channel.send([bytes(1)])
    await Promise.all([world.a.die(), world.pass()])
    expect([probe.messages, probe.closes]).toEqual([[], []])
    expect(world.accepted[0]!.closes.map(({ code }) => code)).toEqual([1006])
    probe.channel.send([bytes(2)])
    probe.channel.close(4000, 'late')
    await world.pass()
    expect(world.accepted[0]!.messages).toEqual([])
  })

  it('while its link is cut -> the other end hears of it when it is healed', async () => {
    const world = await World.create()
    await world.dial()
    world.network.partition(['a'], ['b'])
    await Promise.all([world.a.die(), world.pass()])
    expect(world.accepted[0]!.closes).toEqual([])
    world.network.heal()
    await world.pass()
    expect(world.accepted[0]!.closes.map(({ code }) => code)).toEqual([1006])
  })

  it('its dials: are never answered, and open nothing', async () => {
    const world = await World.create()
    let settled = 0
    const count = (): void => void settled++
    world.a.connect(URL_B, DIAL).then(count, count)
    await Promise.all([world.a.die(), world.pass(2_000)])
    world.a.connect(URL_B, DIAL).then(count, count)
    await world.pass(2_000)
    expect(settled).toBe(0)
    expect(world.accepted.filter(({ closes }) => closes.length === 0)).toEqual([])
  })

  it('its port: is free afterwards, also when it died while it was opened', async () => {
    const world = await World.create()
    await Promise.all([world.b.die(), world.pass()])
    const second = world.network.endpoint('b')
    let isOpen = false
    const opened = (): void => {
      isOpen = true
    }
    world.listen(second).then(opened, opened)
    await Promise.all([second.die(), world.pass()])
    expect(isOpen).toBe(false)
    await expect(world.listen(world.network.endpoint('b'))).resolves.toMatchObject({ port: 1 })
  })
})

describe('destroy', () => {
  it('every channel ends, those that are held as well', async () => {
    const world = await World.create()
    await world.dial()
    await world.dial()
    world.network.partition(['a'], ['b'])
    world.network.destroy()
    await world.pass()
    expect(world.accepted.map(({ closes }) => closes.map(({ code }) => code))).toEqual([[1006], [1006]])
    expect(world.clock.pendingTimers).toBe(0)
  })
})
