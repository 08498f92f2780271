// Whole nodes in one process whose controllers change under a load of metadata: nothing that was acknowledged is lost, and
// whoever is left goes on.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { QuorumMember } from '../../src/client/quorum-admin.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { waitingOn } from './text-topic.ts'

describe('a cluster whose controllers change', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const members = async (client: Client): Promise<readonly QuorumMember[]> =>
    (await client.admin.quorum.describe()).members

  const directoryOf = (id: number): string => cluster.server(id).directory.directoryId

  /** Creates topics one after the other until it is told to end; returns those that were acknowledged. */
  function load(client: Client): { readonly end: () => Promise<readonly string[]> } {
    let ends = false
    const created: string[] = []
    const running = (async () => {
      for (let i = 0; !ends; i++) {
        const name = `t${i}`
        try {
          await client.admin.createTopic({ name, replicationFactor: 1 })
          created.push(name)
        } catch (thrown) {
          // An attempt may have been carried out that went unanswered when leadership moved.
          if (!(thrown instanceof VltavaError) || thrown.definite) throw thrown
        }
      }
    })()
    return {
      end: async () => {
        ends = true
        await running
        return created
      },
    }
  }

  async function expectAll(client: Client, created: readonly string[]): Promise<void> {
    const known = new Set((await client.admin.listTopics()).map(({ name }) => name))
    expect(created.filter((name) => !known.has(name))).toEqual([])
    expect(created.length).toBeGreaterThan(0)
  }

  it('RAFT-16, RAFT-25: one after the other leads, is removed and added again, while topics are created', async () => {
    cluster = await startCluster({ brokers: 4, seed: 1 })
    const client = cluster.client()
    const { quorum } = client.admin
    const topics = load(cluster.client())
    for (const id of [1, 2, 3, 4]) {
      const { leaderId } = await quorum.describe()
      if (leaderId !== id) await quorum.transferController({ nodeId: id })
      await until(`${id} leads`, async () => (await quorum.describe()).leaderId === id)
      expect((await quorum.removeVoter({ nodeId: id })).length).toBe(3)
      await until('another one leads', async () => (await quorum.describe()).leaderId !== id)
      expect((await quorum.addVoter({ nodeId: id })).length).toBe(4)
    }
    await expectAll(client, await topics.end())
    for (const id of [1, 2, 3, 4]) expect(cluster.failures(id)).toEqual([])
  })

  it('RAFT-23, RAFT-24: a controller loses its disk and is replaced under load; later the new disk is needed', async () => {
    cluster = await startCluster({ seed: 2 })
    const client = cluster.client()
    const { quorum } = client.admin
    const topics = load(cluster.client())
    const { leaderId } = await quorum.describe()
    const [victim, other] = [1, 2, 3].filter((id) => id !== leaderId) as [number, number]
    const lost = directoryOf(victim)
    await cluster.kill(victim)
    cluster.replaceDisk(victim)
    await cluster.restart(victim)
    await cluster.whenReady()
    await until('the new disk follows', async () =>
      (await members(client)).some(
        (member) => member.directoryId === directoryOf(victim) && member.isCaughtUp,
      ),
    )
    expect(cluster.server(victim).controller!.isVoter).toBe(false)
    const before = await members(client)
    expect(before.find(({ directoryId }) => directoryId === lost)).toMatchObject({
      isVoter: true,
      silentMs: null,
    })
    await expect(quorum.addVoter({ nodeId: victim })).rejects.toMatchObject({ code: 'DUPLICATE_VOTER' })
    await quorum.removeVoter({ nodeId: victim, directoryId: lost })
    expect((await quorum.addVoter({ nodeId: victim })).toSorted((a, b) => a - b)).toEqual([1, 2, 3])
    await until('it knows', async () => cluster.server(victim).controller!.isVoter === true)
    const created = await topics.end()
    // Of the first three disks one is left and one is down.
    await cluster.kill(other)
    await client.admin.createTopic({ name: 'needs-the-new-disk', replicationFactor: 1 })
    await expectAll(client, [...created, 'needs-the-new-disk'])
    for (const id of [leaderId, victim]) expect(cluster.failures(id)).toEqual([])
  })
})
