// A leader that is cut off from a part of the cluster: from its followers, from the controllers, or from both.
import { describe, expect, it } from 'vitest'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'
import { lines, VirtualTopic } from './virtual-topic.ts'

const LAG_TIME_MS = 2_000
const settings = { 'replica.lag.time.max.ms': LAG_TIME_MS }

interface Cast {
  readonly virtual: VirtualCluster
  readonly topic: VirtualTopic
  readonly leader: SimulatedNode
  readonly followers: readonly SimulatedNode[]
}

/** A partition of three replicas that are none of the given nodes. */
async function cast(
  virtual: VirtualCluster,
  of: { readonly isFree: (node: SimulatedNode) => boolean; readonly configs?: Record<string, string> },
): Promise<Cast> {
  const { nodes } = virtual.cluster
  for (const node of nodes) node.start()
  await virtual.untilAllReady()
  const { configs = {} } = of
  const topic = await VirtualTopic.create(virtual, { name: 't', partitions: 4 * nodes.length, configs })
  const free = new Set(nodes.filter((node) => of.isFree(node)).map(({ id }) => id))
  const controller = nodes.find(({ server }) => server?.controller?.isActive)!
  const { partitions } = controller.server!.controller!.image.topics.get(topic.id)!
  topic.partition = partitions.findIndex(({ replicas }) => replicas.every((id) => free.has(id)))
  expect(topic.partition).toBeGreaterThanOrEqual(0)
  await topic.untilFull()
  const [leader] = topic.leaders
  const followers = nodes.filter((node) => node !== leader && topic.replicaOn(node) !== null)
  return { virtual, topic, leader: leader!, followers }
}

const isController = ({ server }: SimulatedNode): boolean => server?.controller?.isActive === true

function separate(virtual: VirtualCluster, a: SimulatedNode, others: readonly SimulatedNode[]): void {
  virtual.network.partition([[a.name], others.map(({ name }) => name)])
}

/** What the replicas of the partition hold, one text for each. */
function logEnds({ topic, virtual }: Cast): number[] {
  return virtual.cluster.nodes.flatMap((node) => topic.replicaOn(node)?.log.logEndOffset ?? [])
}

describe('REP-39: five nodes, a leader without its followers', () => {
  it('REP-39: min.insync.replicas 2 -> it acknowledges nothing alone; when it dies one of the others leads, nothing is lost', async () => {
    const virtual = new VirtualCluster({ seed: 39, nodes: 5, settings })
    const story = await cast(virtual, { isFree: (node) => !isController(node) })
    const { topic, leader, followers } = story
    const { acknowledged } = await topic.send(lines('before', 5))
    expect(acknowledged).toHaveLength(5)

    separate(virtual, leader, followers)
    // The first finds the in-sync set as it was, waits, and is not acknowledged either.
    const early = await topic.send(['early'], { deliveryTimeoutMs: 1_000, requestTimeoutMs: 500 })
    expect(early).toMatchObject({ acknowledged: [], errors: [{ code: 'DELIVERY_TIMEOUT', definite: false }] })
    await virtual.until(() => topic.replicaOn(leader)!.leader!.options.core.isr.isr.length === 1)
    expect(topic.image).toMatchObject({ leader: leader.id, isr: [leader.id] })
    expect(topic.image.elr).toHaveLength(2)
    const alone = await topic.send(lines('alone', 3), { deliveryTimeoutMs: 1_000 })
    expect(alone.acknowledged).toEqual([])
    for (const error of alone.errors) {
      expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: true })
      expect(error.message).toContain('NOT_ENOUGH_REPLICAS')
    }

    leader.kill()
    await virtual.until(() => followers.some(({ id }) => id === topic.image.leader))
    virtual.network.heal()
    expect((await topic.send(['after'])).acknowledged).toEqual(['after'])
    leader.start()
    await topic.untilFull()
    expect(await topic.readAll()).toEqual([...acknowledged, 'after'])
    expect(logEnds(story)).toEqual([6, 6, 6])
    expect(virtual.failures).toEqual([])
  })

  it('REP-39: min.insync.replicas 1 -> it acknowledges alone; when it dies the partition waits for it, and nothing is lost', async () => {
    const virtual = new VirtualCluster({ seed: 40, nodes: 5, settings })
    const configs = { 'min.insync.replicas': '1' }
    const story = await cast(virtual, { isFree: (node) => !isController(node), configs })
    const { topic, leader, followers } = story
    await topic.send(lines('before', 5))
    separate(virtual, leader, followers)
    // The first waits until the others have lagged for long enough.
    const alone = await topic.send(lines('alone', 3), { requestTimeoutMs: 15_000 })
    expect(alone.acknowledged).toEqual(lines('alone', 3))
    expect(topic.image).toMatchObject({ leader: leader.id, isr: [leader.id], elr: [] })

    leader.kill()
    virtual.network.heal()
    await virtual.until(() => topic.image.leader === null)
    // Both others are alive and well; neither may lead, however long it takes.
    const refused = await topic.send(['nobody'], { deliveryTimeoutMs: 30_000 })
    expect(refused).toMatchObject({
      acknowledged: [],
      errors: [{ code: 'DELIVERY_TIMEOUT', definite: true }],
    })
    expect(topic.image).toMatchObject({ leader: null, isr: [], elr: [leader.id] })
    expect(topic.leaders).toEqual([])

    leader.start()
    await topic.untilFull()
    expect(await topic.readAll()).toEqual([...lines('before', 5), ...lines('alone', 3)])
    expect(logEnds(story)).toEqual([8, 8, 8])
    expect(virtual.failures).toEqual([])
  })
})

describe('REP-40: a leader without controllers', () => {
  it.each(['both ways', 'from the leader on'] as const)(
    'REP-40: cut off from all controllers, %s, but not from followers and clients -> once it is replaced it acknowledges nothing more',
    async (how) => {
      const virtual = new VirtualCluster({ seed: 42, nodes: 6, voters: 3, settings })
      const story = await cast(virtual, { isFree: ({ id }) => id > 3 })
      const { topic, leader, followers } = story
      const voters = virtual.cluster.nodes.slice(0, 3)
      const before = (await topic.send(lines('before', 5))).acknowledged
      // A client that reaches only the old leader, and so does not hear of another one either.
      const { client: captive, name } = virtual.cluster.client({ name: 'captive' })
      await topic.send(['captive'], { client: captive })
      virtual.network.partition([[name], [...voters, ...followers].map((node) => node.name)])

      if (how === 'both ways') separate(virtual, leader, voters)
      else for (const voter of voters) virtual.network.cut(leader.name, voter.name)
      // Nobody has noticed yet: the followers hold the record, so this counts. With other draws the client may first ask brokers for
      // metadata that it cannot reach, and be late.
      const during = await topic.send(['during'], { client: captive })
      expect(during.acknowledged).toEqual(['during'])

      await virtual.until(() => topic.leaders[0] !== leader && topic.leaders.length > 0)
      const replica = topic.replicaOn(leader)!
      const frozen = replica.highWatermark
      expect(frozen).toBe(7)
      // What it learns depends on which way is cut; that it acknowledges nothing does not.
      const startMs = virtual.kernel.nowMs
      const late = await topic.send(lines('late', 3), {
        client: captive,
        requestTimeoutMs: 500,
        deliveryTimeoutMs: 2_000,
      })
      expect(late.acknowledged).toEqual([])
      for (const error of late.errors) expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT' })
      expect(virtual.kernel.nowMs - startMs).toBeLessThan(3 * 2_500)
      if (how === 'both ways') {
        expect(topic.leaders).toContain(leader)
        expect(replica.log.logEndOffset).toBeGreaterThan(frozen)
        expect(late.errors.some(({ definite }) => !definite)).toBe(true)
      }
      expect(replica.highWatermark).toBe(frozen)

      const after = (await topic.send(lines('after', 5))).acknowledged
      expect(after).toHaveLength(5)
      virtual.network.heal()
      await topic.untilFull()
      await virtual.until(() => logEnds(story).every((end) => end === 12))
      expect(topic.leaders).not.toContain(leader)
      expect(await topic.readAll()).toEqual([...before, 'captive', 'during', ...after])
      expect(virtual.failures).toEqual([])
    },
  )
})
