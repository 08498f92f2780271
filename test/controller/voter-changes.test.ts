// Voters that come and go, on real controllers with virtual time: their log, votes and snapshots on disks that can be lost.
import { describe, expect, it } from 'vitest'
import type { NodeId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { RequestOf, ResponseOf } from '../../src/protocol/api.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../../src/protocol/quorum-admin.ts'
import { removeTree } from '../../src/storage/file-io.ts'
import { ControllerCluster, codeOf } from './controller-cluster.ts'
import { TestBroker } from './test-broker.ts'

const FIRST = [1, 2, 3] as const

/** Voters 1, 2 and 3, which were told of nobody else. */
async function formed(
  settings: ConstructorParameters<typeof ControllerCluster>[1] = {},
): Promise<ControllerCluster> {
  const cluster = new ControllerCluster([1, 2, 3, 4, 5], settings)
  for (const nodeId of FIRST) await cluster.start(nodeId, { voters: FIRST })
  await cluster.active()
  await cluster.until('all apply the formation', () =>
    cluster.running.every(({ node }) => node.image.clusterId !== null),
  )
  return cluster
}

/** One more controller, which was told where the first ones are. */
async function join(cluster: ControllerCluster, nodeId: NodeId): Promise<void> {
  await cluster.start(nodeId, { voters: [...new Set([...FIRST, nodeId])] })
  await cluster.until(`node ${nodeId} follows`, () => cluster.get(nodeId).node.isVoter === false)
}

/** Both ask and answer alike. */
type VoterApi = typeof addVoter

class Operator {
  readonly #cluster: ControllerCluster

  constructor(cluster: ControllerCluster) {
    this.#cluster = cluster
  }

  async describe(): Promise<ResponseOf<typeof describeQuorum>> {
    return await this.#ask((connection) =>
      connection.request(describeQuorum, { timeoutMs: 1_000 }, { timeoutMs: 2_000 }),
    )
  }

  /** Tries again while that may help, as a client does. */
  async change(api: VoterApi, nodeId: NodeId, directoryId: string | null = null): Promise<readonly NodeId[]> {
    const body: RequestOf<VoterApi> = { nodeId, directoryId, timeoutMs: 2_000 }
    for (let attempt = 0; ; attempt++) {
      const answer = this.#ask((connection) => connection.request(api, body, { timeoutMs: 3_000 }))
      const code = await codeOf(answer)
      if (code === 'no error') return (await answer).voters.map((voter) => voter.nodeId)
      if (attempt === 100 || !['VOTER_NOT_READY', 'SERVER_BUSY'].includes(code))
        return await answer.then(() => [])
      await this.#cluster.pass(100)
    }
  }

  async transfer(nodeId: NodeId): Promise<NodeId> {
    const body = { nodeId, timeoutMs: 5_000 }
    return (
      await this.#ask((connection) => connection.request(transferController, body, { timeoutMs: 6_000 }))
    ).controllerId
  }

  async #ask<T>(ask: (connection: Connection) => Promise<{ readonly body: T }>): Promise<T> {
    const { nodeId } = await this.#cluster.active()
    const connection = await this.#cluster.connect(nodeId, null)
    const { body } = await this.#cluster.answer(ask(connection))
    connection.close('SHUTTING_DOWN')
    return body
  }
}

/** A broker registers again and again, so that there are records all the while. */
async function load(cluster: ControllerCluster, brokerId: NodeId): Promise<void> {
  const broker = await new TestBroker(cluster, brokerId).connect()
  await broker.register()
}

async function agree(cluster: ControllerCluster): Promise<void> {
  const offset = (await cluster.active()).node.image.metadataOffset
  await cluster.until('all have applied the same', () =>
    cluster.running.every(({ node }) => node.image.metadataOffset >= offset),
  )
}

describe('a voter more', () => {
  it('RAFT-23, RAFT-24: an empty node follows without a vote, is added, and is needed from then on', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    await load(cluster, 20)
    await join(cluster, 4)
    expect(cluster.log.named('not-a-voter').length).toBe(1)
    await cluster.until('node 4 has caught up', () => cluster.get(4).node.image.brokers.has(20))
    expect(await operator.change(addVoter, 4)).toEqual([1, 2, 3, 4])
    await agree(cluster)
    for (const { node } of cluster.running) {
      expect(node.image.voters.map((voter) => voter.nodeId)).toEqual([1, 2, 3, 4])
      expect(node.isVoter).toBe(true)
    }
    // Two of four are no majority, and three are one, whichever they are: 4 votes.
    cluster.kill(1)
    cluster.kill(2)
    await cluster.pass(20_000)
    expect(cluster.running.map(({ node }) => node.isActive)).toEqual([false, false])
    await cluster.start(1, { voters: FIRST })
    await cluster.active()
    await load(cluster, 21)
    await agree(cluster)
    expect(cluster.get(4).node.image.brokers.has(21)).toBe(true)
  })

  it('RAFT-22: after all have restarted from their disks they know the voters, and where they are', async () => {
    const cluster = await formed()
    await join(cluster, 4)
    await join(cluster, 5)
    const operator = new Operator(cluster)
    await operator.change(addVoter, 4)
    await operator.change(addVoter, 5)
    await agree(cluster)
    for (const nodeId of [1, 2, 3, 4, 5]) cluster.cutPower(nodeId)
    // 4 and 5 were told of each other by nobody, and 3 of neither of them.
    for (const nodeId of [3, 4, 5]) await cluster.start(nodeId, { voters: [3, nodeId] })
    await cluster.active()
    await load(cluster, 20)
    await agree(cluster)
    const voters = cluster.get(3).node.image.voters.map((voter) => voter.nodeId)
    expect(voters).toEqual([1, 2, 3, 4, 5])
  })

  it('snapshots hold the voters: a node that starts from one, or gets one, knows them', async () => {
    const cluster = await formed({ bytesBetweenSnapshots: 2_000 })
    const operator = new Operator(cluster)
    await join(cluster, 4)
    await operator.change(addVoter, 4)
    await operator.change(removeVoter, 1)
    for (let i = 0; i < 30; i++) await load(cluster, 20 + i)
    await agree(cluster)
    expect(cluster.log.named('metadata-snapshot-made').length).toBeGreaterThan(3)
    await join(cluster, 5)
    await cluster.until('node 5 has a snapshot', () => cluster.get(5).node.image.brokers.has(49))
    expect(cluster.get(5).node.image.voters.map((voter) => voter.nodeId)).toEqual([2, 3, 4])
    for (const nodeId of [1, 2, 3, 4, 5]) cluster.kill(nodeId)
    await cluster.start(3, { voters: FIRST })
    await cluster.start(4, { voters: [1, 2, 3, 4] })
    await cluster.active()
    await load(cluster, 60)
    // 1 has no vote any more, so that with 4 down 3 cannot go on by it.
    cluster.kill(4)
    await cluster.start(1, { voters: FIRST })
    await cluster.pass(20_000)
    expect(cluster.running.map(({ node }) => node.isActive)).toEqual([false, false])
    expect(cluster.get(1).node.isVoter).toBe(false)
  })

  it('RAFT-23: the new node loses its power at any operation of its disk while it joins -> it comes back and is added', async () => {
    let operations = 1
    for (let crashes = true; crashes; operations++) {
      crashes = false
      const cluster = await formed()
      let left = operations
      const fileSystem = {
        onOperation: (): Promise<undefined> | undefined => {
          left--
          if (left > 0) return undefined
          crashes = true
          return new Promise(() => {})
        },
      }
      let isUp = false
      cluster.start(4, { voters: [1, 2, 3, 4], fileSystem }).then(
        () => {
          isUp = true
        },
        () => {},
      )
      const follows = (): boolean => isUp && cluster.get(4).node.image.clusterId !== null
      await cluster.until('node 4 follows or stops', () => crashes || follows())
      await cluster.pass(500)
      cluster.killUnfinished(4)
      cluster.cutPower(4)
      await join(cluster, 4)
      expect(await new Operator(cluster).change(addVoter, 4)).toEqual([1, 2, 3, 4])
      await agree(cluster)
      expect(cluster.get(4).node.isVoter).toBe(true)
    }
    // The sweep went through the whole of it: identity, vote, formation, the log.
    expect(operations).toBeGreaterThan(30)
  })

  it('what cannot be added: who votes, who does not follow, another disk of a voter', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    expect(await codeOf(operator.change(addVoter, 2))).toBe('DUPLICATE_VOTER')
    const { nodeId } = await cluster.active()
    const connection = await cluster.connect(nodeId, null)
    const absent = connection.request(
      addVoter,
      { nodeId: 4, directoryId: null, timeoutMs: 500 },
      { timeoutMs: 900 },
    )
    expect(await codeOf(cluster.answer(absent))).toBe('VOTER_NOT_READY')
    const other = { nodeId: 2, directoryId: 'another-disk----------', timeoutMs: 500 }
    const reused = connection.request(addVoter, other, { timeoutMs: 900 })
    await expect(cluster.answer(reused)).rejects.toThrow(/votes with directory .*remove it first/)
  })

  it('a standby is asked -> NOT_CONTROLLER that says who is', async () => {
    const cluster = await formed()
    const { nodeId } = await cluster.active()
    const standby = FIRST.find((id) => id !== nodeId)!
    const connection = await cluster.connect(standby, null)
    const asked = connection.request(
      addVoter,
      { nodeId: 4, directoryId: null, timeoutMs: 500 },
      { timeoutMs: 900 },
    )
    await expect(cluster.answer(asked)).rejects.toThrow(`node ${nodeId} is, as far as known`)
  })
})

describe('a voter less', () => {
  it('RAFT-25: the active controller is removed -> another one takes over at once, and it follows', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId } = await cluster.active()
    const startMs = cluster.clock.monotonicMs()
    expect(await operator.change(removeVoter, nodeId)).toEqual(FIRST.filter((id) => id !== nodeId))
    await cluster.until('another one is active', () =>
      cluster.running.some((other) => other.node.isActive && other.node !== cluster.get(nodeId).node),
    )
    // Faster than any election timeout.
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(500)
    await load(cluster, 20)
    await agree(cluster)
    expect(cluster.get(nodeId).node.isVoter).toBe(false)
    await cluster.pass(20_000)
    expect(cluster.get(nodeId).node.isActive).toBe(false)
  })

  it('JEP-20: one whose loss the rest could not bear -> QUORUM_AT_RISK; the last one and a stranger -> refused', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId } = await cluster.active()
    const [dead, alive] = FIRST.filter((id) => id !== nodeId)
    cluster.kill(dead!)
    await cluster.pass(1_300)
    expect(await codeOf(operator.change(removeVoter, alive!))).toBe('QUORUM_AT_RISK')
    expect(await codeOf(operator.change(removeVoter, 4))).toBe('VOTER_NOT_FOUND')
    expect(await operator.change(removeVoter, dead!)).toHaveLength(2)
    expect(await operator.change(removeVoter, alive!)).toEqual([nodeId])
    expect(await codeOf(operator.change(removeVoter, nodeId))).toBe('INVALID_REQUEST')
    await load(cluster, 20)
  })
})

describe('a voter with another disk', () => {
  it('RAFT-23: it follows without a vote until the former disk is removed and the new one is added', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId: active } = await cluster.active()
    const victim = FIRST.find((id) => id !== active)!
    const lost = cluster.get(victim).directory.directoryId
    cluster.kill(victim)
    cluster.wipe(victim)
    await load(cluster, 20)
    await join(cluster, victim)
    await cluster.until('it has everything', () => cluster.get(victim).node.image.brokers.has(20))
    const { members } = await operator.describe()
    expect(members.filter(({ nodeId }) => nodeId === victim)).toMatchObject([
      { directoryId: lost, isVoter: true, silentMs: null, isCaughtUp: false },
      { directoryId: cluster.get(victim).directory.directoryId, isVoter: false },
    ])
    // It has everything and does not count: without the third nothing is decided.
    const third = FIRST.find((id) => id !== active && id !== victim)!
    cluster.kill(third)
    await cluster.pass(20_000)
    expect(cluster.running.map(({ node }) => node.isActive)).toEqual([false, false])
    await cluster.start(third, { voters: FIRST })
    await cluster.active()
    expect(await codeOf(operator.change(addVoter, victim))).toBe('DUPLICATE_VOTER')
    expect(await operator.change(removeVoter, victim)).toHaveLength(2)
    expect(await operator.change(addVoter, victim)).toHaveLength(3)
    await agree(cluster)
    expect(cluster.get(victim).node.isVoter).toBe(true)
    cluster.kill(third)
    await cluster.active()
    await load(cluster, 21)
    await agree(cluster)
  })

  it('RAFT-23: added later, its metadata lost -> it takes no part until its directory is empty', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    await join(cluster, 4)
    await operator.change(addVoter, 4)
    await agree(cluster)
    cluster.kill(4)
    const survivor = cluster.disk(4).afterKill()
    await removeTree(survivor, '/data/metadata')
    cluster.useDisk(4, survivor)
    const { node } = await cluster.start(4, { voters: [1, 2, 3, 4] })
    await cluster.until('node 4 finds its cluster', () => node.isVoter !== null)
    await cluster.pass(5_000)
    expect(node.isVoter).toBe(false)
    expect(node.voter).toBeNull()
    expect(cluster.log.named('not-a-voter').at(-1)?.fields['reason']).toContain(
      'may have voted and forgotten it',
    )
  })
})

describe('moving leadership', () => {
  it('RAFT-16: to another voter -> it is active at once, and nothing is lost', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId } = await cluster.active()
    const to = FIRST.find((id) => id !== nodeId)!
    const startMs = cluster.clock.monotonicMs()
    expect(await operator.transfer(to)).toBe(to)
    expect((await cluster.active()).nodeId).toBe(to)
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(200)
    expect(await codeOf(operator.transfer(to))).toBe('ELECTION_NOT_NEEDED')
    expect(await codeOf(operator.transfer(4))).toBe('VOTER_NOT_FOUND')
    await load(cluster, 20)
  })

  it('RAFT-16: to a voter whose disk is stuck -> the active controller goes on after an election timeout', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId } = await cluster.active()
    const stuck = FIRST.find((id) => id !== nodeId)!
    cluster.kill(stuck)
    let isStuck = false
    const onOperation = (): Promise<undefined> =>
      isStuck ? new Promise(() => {}) : Promise.resolve(undefined)
    await cluster.start(stuck, { fileSystem: { onOperation } })
    await load(cluster, 20)
    await cluster.pass(2_000)
    isStuck = true
    await expect(operator.transfer(stuck)).rejects.toThrow('this controller goes on')
    expect((await cluster.active()).nodeId).toBe(nodeId)
    await load(cluster, 20)
  })

  it('RAFT-16: to a dead voter -> refused at once, so that nothing waits for it', async () => {
    const cluster = await formed()
    const operator = new Operator(cluster)
    const { nodeId } = await cluster.active()
    const dead = FIRST.find((id) => id !== nodeId)!
    cluster.kill(dead)
    expect(await codeOf(operator.transfer(dead))).toBe('VOTER_NOT_READY')
    expect((await cluster.active()).nodeId).toBe(nodeId)
    await load(cluster, 20)
  })

  it('a controller stops in order -> another one is active within 50 ms', async () => {
    const cluster = await formed()
    // Everybody has answered lately, or nobody could be asked.
    await cluster.pass(2_000)
    const { nodeId } = await cluster.active()
    const { node } = cluster.get(nodeId)
    const startMs = cluster.clock.monotonicMs()
    const stopped = node.stop()
    await cluster.until('another one is active', () =>
      cluster.running.some((other) => other.node !== node && other.node.isActive),
    )
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(50)
    await cluster.answer(stopped)
  })
})

describe('describe', () => {
  it('tells the voters, and the followers without a vote, with their addresses', async () => {
    const cluster = await formed()
    await join(cluster, 4)
    await cluster.pass(3_000)
    const { nodeId, node } = await cluster.active()
    const { leaderId, committedOffset, members } = await new Operator(cluster).describe()
    expect(leaderId).toBe(nodeId)
    expect(committedOffset).toBe(node.image.metadataOffset)
    expect(members.map((member) => [member.nodeId, member.isVoter, member.isCaughtUp, member.url])).toEqual([
      ...FIRST.map((id) => [id, true, true, expect.toBeOneOf([`ws://node-${id}:1`, null])]),
      [4, false, true, 'ws://node-4:1'],
    ])
    expect(members.every(({ endOffset }) => endOffset === committedOffset)).toBe(true)
  })

  it('RAFT-31: a controller that was replaced and does not know it -> does not answer', async () => {
    const cluster = await formed()
    const { nodeId } = await cluster.active()
    const connection = await cluster.connect(nodeId, null)
    for (const other of FIRST) if (other !== nodeId) cluster.kill(other)
    await cluster.settle()
    const answer = connection.request(describeQuorum, { timeoutMs: 500 }, { timeoutMs: 900 })
    expect(await codeOf(cluster.answer(answer))).toBe('REQUEST_TIMED_OUT')
  })
})
