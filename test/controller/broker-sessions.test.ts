import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { BrokerSessions } from '../../src/controller/broker-sessions.ts'
import type { DueBroker, LivenessSettings } from '../../src/metadata/broker-liveness.ts'
import type { BrokerImage, ClusterImage } from '../../src/metadata/cluster-image.ts'
import type { NodeId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { CloseReason } from '../../src/net/transport.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { clusterOf, epochOf, incarnation, registered, withFencing } from '../metadata/cluster-fixture.ts'
import { ControllerCluster, codeOf, runId } from './controller-cluster.ts'
import { StallingClock } from './stalling-clock.ts'
import { liveBrokers, TestBroker } from './test-broker.ts'

const SETTINGS = { sessionTimeoutMs: 3_000, disconnectGraceMs: 250 }

/** As much of a connection as a session needs. */
class FakeLink {
  isOpen = true
  readonly identity: { readonly nodeId: NodeId; readonly incarnationId: string }
  readonly #hooks: ((reason: CloseReason) => void)[] = []

  constructor(nodeId: NodeId, run = 1) {
    this.identity = { nodeId, incarnationId: incarnation(nodeId, run) }
  }

  get connection(): Connection {
    return this as unknown as Connection
  }

  onClose(hook: (reason: CloseReason) => void): void {
    this.#hooks.push(hook)
  }

  close(): void {
    this.isOpen = false
    for (const hook of this.#hooks) hook({ code: 1006, reason: '' })
  }
}

function hear(sessions: BrokerSessions, link: FakeLink): void {
  sessions.heardOver(link.identity, link.connection)
}

function sessionsOf(
  clock: Clock,
  image: ClusterImage,
  options: {
    readonly isLinkDown?: (broker: BrokerImage) => boolean
    readonly fence?: (due: DueBroker) => Promise<boolean>
    readonly settings?: LivenessSettings
  } = {},
): { readonly sessions: BrokerSessions; readonly fenced: string[] } {
  const fenced: string[] = []
  const fence = async (due: DueBroker): Promise<boolean> => {
    fenced.push(`${due.brokerId} ${due.evidence} at ${clock.monotonicMs()}`)
    return (await options.fence?.(due)) ?? true
  }
  const isLinkDown = options.isLinkDown ?? (() => false)
  const { settings = SETTINGS } = options
  const sessions = new BrokerSessions({ clock, settings, isLinkDown, fence }, image)
  return { sessions, fenced }
}

describe('the sessions of brokers', () => {
  const image = clusterOf([1, 2])
  const run = { brokerId: 1, brokerEpoch: epochOf(image, 1) }

  it('every broker has a full session from the start, renewed by heartbeats', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    clock.advance(2_000)
    sessions.heartbeat(run, 0)
    clock.advance(1_500)
    expect(fenced).toEqual(['2 heartbeat-missed at 3000'])
    clock.advance(2_000)
    expect(fenced).toEqual(['2 heartbeat-missed at 3000', '1 heartbeat-missed at 5000'])
  })

  it('a new controller: only the grace where its own link to that run is down', () => {
    const clock = new ManualClock()
    const { fenced } = sessionsOf(clock, image, { isLinkDown: ({ brokerId }) => brokerId === 2 })
    clock.advance(2_999)
    expect(fenced).toEqual(['2 link-closed at 250'])
  })

  it('the link closes -> the grace; the same incarnation over a new link ends it', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    const first = new FakeLink(1)
    hear(sessions, first)
    first.close()
    clock.advance(200)
    hear(sessions, new FakeLink(1))
    clock.advance(1_000)
    expect(fenced).toEqual([])
  })

  it('another incarnation over a new link does not end it, and does not hide the old link', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    const first = new FakeLink(1)
    hear(sessions, first)
    hear(sessions, new FakeLink(1, 2))
    first.close()
    hear(sessions, new FakeLink(1, 2))
    clock.advance(250)
    expect(fenced).toEqual(['1 link-closed at 250'])
  })

  it('an older link that closes after a newer one was used means nothing', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    const first = new FakeLink(1)
    hear(sessions, first)
    hear(sessions, new FakeLink(1))
    first.close()
    clock.advance(1_000)
    expect(fenced).toEqual([])
  })

  it('a link that closed before the broker was unfenced starts the grace when it is', () => {
    const clock = new ManualClock()
    const waiting = registered(clusterOf([1]), 3)
    const { sessions, fenced } = sessionsOf(clock, waiting)
    const link = new FakeLink(3)
    hear(sessions, link)
    link.close()
    clock.advance(100)
    sessions.follow(withFencing(waiting, 3, { fenced: false }))
    clock.advance(250)
    expect(fenced).toEqual(['3 link-closed at 350'])
  })

  it('REP-26: a run is heard while its link is open and a session has not passed; each run by itself', () => {
    const clock = new ManualClock()
    const { sessions } = sessionsOf(clock, registered(clusterOf([1]), 3))
    const link = new FakeLink(3)
    const isHeard = (run = 1): boolean => sessions.isHeard(incarnation(3, run))
    expect(isHeard()).toBe(false)
    hear(sessions, link)
    const dead = new FakeLink(3, 2)
    hear(sessions, dead)
    expect([isHeard(), isHeard(2)]).toEqual([true, true])
    dead.close()
    expect([isHeard(), isHeard(2)]).toEqual([true, false])
    clock.advance(2_999)
    expect(isHeard()).toBe(true)
    clock.advance(1)
    expect(isHeard()).toBe(false)
    hear(sessions, link)
    expect(isHeard()).toBe(true)
    link.close()
    expect(isHeard()).toBe(false)
    hear(sessions, new FakeLink(3))
    expect(isHeard()).toBe(true)
  })

  it('whether a run is about: unknown until a controller has listened for a whole session, unless it is heard', () => {
    const clock = new ManualClock()
    const { sessions } = sessionsOf(clock, registered(clusterOf([1]), 3))
    const link = new FakeLink(3)
    const contact = () => sessions.contactOf(incarnation(3))
    clock.advance(2_999)
    expect(contact()).toBe('unknown')
    hear(sessions, link)
    expect(contact()).toBe('heard')
    link.close()
    expect(contact()).toBe('unknown')
    clock.advance(1)
    expect(contact()).toBe('silent')
    hear(sessions, new FakeLink(3))
    expect(contact()).toBe('heard')
    clock.advance(3_000)
    expect(contact()).toBe('silent')
  })

  it('a broker that the image shows fenced is not watched any more', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    sessions.follow(withFencing(image, 1, { fenced: true }))
    clock.advance(10_000)
    expect(fenced).toEqual(['2 heartbeat-missed at 3000'])
  })

  it('a fencing that was not accepted is tried again after another grace', async () => {
    const clock = new ManualClock()
    const answers = [Promise.resolve(false), Promise.resolve(true)]
    const { fenced } = sessionsOf(clock, clusterOf([1]), { fence: () => answers.shift()! })
    clock.advance(3_000)
    await setImmediate()
    clock.advance(249)
    expect(fenced).toEqual(['1 heartbeat-missed at 3000'])
    clock.advance(1)
    await setImmediate()
    clock.advance(10_000)
    expect(fenced).toEqual(['1 heartbeat-missed at 3000', '1 link-closed at 3250'])
  })

  it('a fencing that is refused at once, without any grace -> tried again after a pause', async () => {
    const clock = new ManualClock()
    const settings = { sessionTimeoutMs: 3_000, disconnectGraceMs: 0 }
    const { fenced } = sessionsOf(clock, clusterOf([1]), { settings, fence: () => Promise.resolve(false) })
    clock.advance(3_000)
    for (let ms = 0; ms < 100; ms++) {
      await setImmediate()
      clock.advance(1)
    }
    expect(fenced).toEqual(['1 heartbeat-missed at 3000', '1 link-closed at 3050', '1 link-closed at 3100'])
  })

  it('after a stall of the controller nobody is fenced whose heartbeat lies in the socket', () => {
    const clock = new StallingClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    clock.stall(60_000, () => sessions.heartbeat(run, 0))
    expect(fenced).toEqual(['2 heartbeat-missed at 60000'])
  })

  it('stopped, it fences nobody', () => {
    const clock = new ManualClock()
    const { sessions, fenced } = sessionsOf(clock, image)
    const link = new FakeLink(1)
    hear(sessions, link)
    sessions.stop()
    link.close()
    clock.advance(10_000)
    expect(fenced).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it('how far the others have applied the log: the one that is farthest behind counts', () => {
    const clock = new ManualClock()
    const three = clusterOf([1, 2, 3])
    const { sessions } = sessionsOf(clock, three)
    const applied = (brokerId: NodeId, offset: number) =>
      sessions.heartbeat({ brokerId, brokerEpoch: epochOf(three, brokerId) }, offset)
    applied(2, 9)
    expect(sessions.appliedByOthers(1)).toBe(0)
    applied(3, 7)
    expect(sessions.appliedByOthers(1)).toBe(7)
    expect(sessions.appliedByOthers(2)).toBe(0)
    expect(sessionsOf(clock, clusterOf([1])).sessions.appliedByOthers(1)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('fencing in a cluster', () => {
  async function cluster3(): Promise<ControllerCluster> {
    const cluster = new ControllerCluster([1, 2, 3])
    await cluster.startAll()
    await cluster.active()
    return cluster
  }

  async function fenced(cluster: ControllerCluster, brokerId: NodeId): Promise<boolean> {
    return (await cluster.active()).node.image.brokers.get(brokerId)?.fenced === true
  }

  it('a silent broker is fenced after its session, one whose link closed after the grace', async () => {
    const cluster = await cluster3()
    const [silent, gone, live] = await liveBrokers(cluster, [11, 12, 13])
    gone!.connection.abort()
    await live!.heartbeat()
    await cluster.pass(200)
    expect(await fenced(cluster, 12)).toBe(false)
    await cluster.pass(100)
    expect(await fenced(cluster, 12)).toBe(true)
    await cluster.pass(2_400)
    await live!.heartbeat()
    expect(await fenced(cluster, 11)).toBe(false)
    await cluster.pass(400)
    expect(await fenced(cluster, 11)).toBe(true)
    expect(await fenced(cluster, 13)).toBe(false)
    // It lives after all: the next heartbeat unfences it.
    expect(await silent!.heartbeat()).toEqual({ fenced: false, mayShutDown: false })
  })

  it('REP-26: a bounced broker registers once the old run is fenced, with a new epoch', async () => {
    const cluster = await cluster3()
    const [first] = await liveBrokers(cluster, [11])
    first!.connection.abort()
    const second = await new TestBroker(cluster, 11, runId('second-run-of-11')).connect()
    expect(await codeOf(second.register())).toBe('DUPLICATE_BROKER_REGISTRATION')
    await cluster.pass(300)
    await second.register()
    expect(second.brokerEpoch).toBeGreaterThan(first!.brokerEpoch)
    const zombie = await new TestBroker(cluster, 11).connect()
    zombie.brokerEpoch = first!.brokerEpoch
    expect(await codeOf(zombie.heartbeat())).toBe('STALE_BROKER_EPOCH')
  })

  it('REP-26: what a dead run asked for comes after its successor registered -> the successor goes on', async () => {
    const cluster = await cluster3()
    const dead = await new TestBroker(cluster, 11, runId('dead-run-of-11')).connect()
    const successor = await new TestBroker(cluster, 11, runId('second-run-of-11')).connect()
    await successor.register()
    expect(await codeOf(dead.register())).toBe('DUPLICATE_BROKER_REGISTRATION')
    expect(await successor.heartbeat()).toMatchObject({ fenced: false })
  })

  it('the active controller dies with its broker -> the next one fences that broker after the grace', async () => {
    const cluster = await cluster3()
    const brokers = new Map<NodeId, TestBroker>()
    for (const nodeId of cluster.ids) {
      const broker = await new TestBroker(cluster, nodeId, cluster.get(nodeId).incarnationId).connect()
      await broker.register()
      await broker.heartbeat()
      brokers.set(nodeId, broker)
    }
    const { nodeId } = await cluster.active()
    cluster.kill(nodeId)
    await cluster.active()
    for (const [brokerId, broker] of brokers) {
      if (brokerId !== nodeId) await (await broker.connect()).heartbeat()
    }
    await cluster.pass(400)
    const { node } = await cluster.active()
    const states = [...node.image.brokers.values()].map((broker) => [broker.brokerId, broker.fenced])
    expect(states).toEqual(cluster.ids.map((id) => [id, id === nodeId]))
  })

  it('REP-38: a broker that wants to stop gets leave once the others know', async () => {
    const cluster = await cluster3()
    const [stopping, other] = await liveBrokers(cluster, [11, 12])
    const { node } = await cluster.active()
    const asks = () => stopping!.heartbeat({ wantShutdown: true })
    expect(await asks()).toEqual({ fenced: false, mayShutDown: false })
    expect(await asks()).toEqual({ fenced: false, mayShutDown: false })
    await other!.heartbeat({ metadataOffset: node.image.metadataOffset })
    expect(await asks()).toEqual({ fenced: false, mayShutDown: true })
  })
})
