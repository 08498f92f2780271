import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { ClusterFormation } from '../../src/controller/formation.ts'
import type { NodeId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { quorumProbe } from '../../src/protocol/quorum.ts'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { removeTree } from '../../src/storage/file-io.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { MemoryProcess } from '../../src/testing/memory-process.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { ControllerCluster, codeOf, runId } from './controller-cluster.ts'

const PEER = { nodeId: 50, incarnationId: runId('run-of-50') }

function permutations(ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  if (ids.length === 0) return [[]]
  return ids.flatMap((id) => permutations(ids.filter((other) => other !== id)).map((rest) => [id, ...rest]))
}

/** The node runs, belongs to a cluster and votes in it. */
function votes(cluster: ControllerCluster, nodeId: NodeId): boolean {
  return cluster.get(nodeId).node.isVoter === true
}

async function formed(cluster: ControllerCluster): Promise<ControllerCluster> {
  await cluster.startAll()
  await cluster.active()
  await cluster.until('all apply the formation', () =>
    cluster.running.every(({ node }) => node.image.clusterId !== null),
  )
  return cluster
}

describe('the birth of a cluster', () => {
  it('a node without peers forms its own cluster at once', async () => {
    const cluster = new ControllerCluster([7])
    const { node, directory } = await cluster.start(7)
    await cluster.active()
    const clusterId = await cluster.answer(node.formed)
    expect(cluster.clock.monotonicMs()).toBeLessThan(100)
    expect(directory.clusterId).toBe(clusterId)
    await cluster.until('the first record', () => node.image.clusterId !== null)
    expect(node.image).toMatchObject({
      clusterId,
      voters: [{ nodeId: 7, directoryId: directory.directoryId }],
    })
  })

  it.each(permutations([1, 2, 3]))(
    'RAFT-23: three nodes form one cluster, started in the order %i, %i, %i',
    async (...order) => {
      const cluster = new ControllerCluster([1, 2, 3])
      for (const nodeId of order) {
        await cluster.start(nodeId)
        await cluster.pass(300)
      }
      await cluster.active()
      const ids = await cluster.answer(Promise.all(cluster.running.map(({ node }) => node.formed)))
      expect(new Set(ids).size).toBe(1)
      await cluster.until('all apply the formation', () =>
        cluster.running.every(({ node }) => node.image.clusterId === ids[0]),
      )
      const voters = [1, 2, 3].map((nodeId) => ({
        nodeId,
        directoryId: cluster.get(nodeId).directory.directoryId,
        url: null,
      }))
      for (const { node, directory } of cluster.running) {
        expect(node.isVoter).toBe(true)
        expect(node.image.voters).toEqual(voters)
        expect(directory.clusterId).toBe(ids[0])
      }
    },
  )

  it('RAFT-23: one of the listed voters is missing -> no cluster until it comes', async () => {
    const cluster = new ControllerCluster([1, 2, 3])
    await cluster.start(1)
    await cluster.start(3)
    await cluster.pass(60_000)
    for (const { node, directory } of cluster.running) {
      expect(node.isVoter).toBe(null)
      expect(node.controllerId).toBe(null)
      expect(directory.clusterId).toBe(null)
    }
    expect(cluster.log.events.filter(({ level }) => level === 'warn')).toEqual([])
    await cluster.start(2)
    await cluster.active()
  })

  it('different lists of voters -> a repeated warning that names both, and no cluster', async () => {
    const cluster = new ControllerCluster([1, 2, 3])
    await cluster.start(1)
    await cluster.start(2)
    await cluster.start(3, { voters: [3, 2] })
    await cluster.pass(25_000)
    const warnings = cluster.log.named('voter-lists-differ').filter(({ fields }) => fields['nodeId'] === 1)
    expect(warnings.length).toBe(3)
    expect(warnings[0]?.fields['reason']).toContain(
      'this node was told the voters [1, 2, 3], node 3 was told [2, 3]',
    )
    expect(cluster.running.map(({ node }) => node.isVoter)).toEqual([null, null, null])
  })

  it('the founder crashes at any operation of its disk -> one cluster, whoever heard of it before', async () => {
    let operations = 1
    for (let crashes = true; crashes; operations++) {
      crashes = false
      const cluster = new ControllerCluster([1, 2, 3])
      await cluster.start(2)
      await cluster.start(3)
      const fileSystem = {
        onOperation: async ({ sequence }: { readonly sequence: number }): Promise<undefined> => {
          if (sequence < operations) return
          crashes = true
          await new Promise(() => {})
        },
      }
      let isUp = false
      cluster.start(1, { fileSystem }).then(
        () => {
          isUp = true
        },
        () => {},
      )
      await cluster.until('node 1 forms the cluster or stops', () => crashes || (isUp && votes(cluster, 1)))
      await cluster.pass(1_000)
      cluster.killUnfinished(1)
      cluster.cutPower(1)
      await cluster.start(1)
      await cluster.active()
      const ids = await cluster.answer(Promise.all(cluster.running.map(({ node }) => node.formed)))
      expect(new Set(ids).size).toBe(1)
      expect(cluster.running.map(({ node }) => node.isVoter)).toEqual([true, true, true])
    }
    // The sweep went through the whole of it: lock, identity, vote, formation.
    expect(operations).toBeGreaterThan(30)
  })
})

describe('a node with an empty directory among members', () => {
  it('RAFT-23: a wiped node is told the cluster, but never votes', async () => {
    const cluster = await formed(new ControllerCluster([1, 2, 3]))
    const clusterId = await cluster.answer(cluster.get(1).node.formed)
    cluster.kill(3)
    cluster.wipe(3)
    const { node, directory } = await cluster.start(3)
    await cluster.until('node 3 finds its cluster', () => node.isVoter !== null)
    expect(node.isVoter).toBe(false)
    expect(await cluster.answer(node.formed)).toBe(clusterId)
    expect(directory.clusterId).toBe(clusterId)
    expect(cluster.log.named('not-a-voter').length).toBe(1)

    // One real voter and the wiped one are no majority.
    cluster.kill(1)
    await cluster.pass(30_000)
    expect(cluster.running.map((running) => running.node.isActive)).toEqual([false, false])
    await cluster.start(1)
    await cluster.active()
  })

  it('RAFT-23: it stays without a vote when it is started again', async () => {
    const cluster = await formed(new ControllerCluster([1, 2, 3]))
    cluster.kill(3)
    cluster.wipe(3)
    await cluster.start(3)
    await cluster.until('node 3 finds its cluster', () => cluster.get(3).node.isVoter === false)
    cluster.kill(3)
    const { node } = await cluster.start(3)
    expect(node.isVoter).toBe(false)
  })

  it('RAFT-23: a directory that kept its identity but lost its votes never votes again', async () => {
    const cluster = await formed(new ControllerCluster([1, 2, 3]))
    cluster.kill(3)
    const survivor = cluster.disk(3).afterKill()
    await removeTree(survivor, '/data/metadata')
    cluster.useDisk(3, survivor)
    const { node, directory } = await cluster.start(3)
    await cluster.until('node 3 finds its cluster', () => node.isVoter !== null)
    expect(node.isVoter).toBe(false)
    const { voters } = cluster.get(1).node.image
    expect(voters).toContainEqual({ nodeId: 3, directoryId: directory.directoryId, url: null })
  })

  it('RAFT-23: all directories lost their metadata -> no second cluster is formed', async () => {
    const cluster = await formed(new ControllerCluster([1, 2, 3]))
    for (const nodeId of [1, 2, 3]) {
      cluster.kill(nodeId)
      const survivor = cluster.disk(nodeId).afterKill()
      await removeTree(survivor, '/data/metadata')
      cluster.useDisk(nodeId, survivor)
    }
    await cluster.startAll()
    await cluster.pass(30_000)
    expect(cluster.running.map(({ node }) => node.isVoter)).toEqual([null, null, null])
    expect(cluster.log.named('metadata-lost').length).toBeGreaterThan(0)
  })

  it('RAFT-23: a node that has not read its directory yet is not taken for empty', async () => {
    const cluster = new ControllerCluster([1, 2])
    const fileSystem = {
      onOperation: ({ path }: { readonly path: string }): Promise<undefined> | undefined =>
        path.endsWith('/formation') ? new Promise(() => {}) : undefined,
    }
    cluster.start(2, { fileSystem }).catch(() => {})
    await cluster.until('node 2 reads', () => cluster.isStarting(2))
    await cluster.settle()
    const connection = await cluster.connect(2, PEER)
    const probing = connection.request(
      quorumProbe,
      { directoryId: runId('directory'), voters: [1, 2] },
      { timeoutMs: 1_000 },
    )
    const code = codeOf(probing)
    await cluster.settle()
    expect(await code).toBe('SERVER_BUSY')
  })
})

describe('what a directory remembers of its cluster', () => {
  it('RAFT-27: nodes of two clusters do not join each other', async () => {
    const ours = await formed(new ControllerCluster([1, 2, 3]))
    const theirs = await formed(new ControllerCluster([2]))
    const clusterId = await ours.answer(ours.get(1).node.formed)
    await theirs.stop(2)
    ours.kill(2)
    ours.useDisk(2, theirs.disk(2))
    await ours.start(2)
    await ours.pass(10_000)
    expect(await ours.answer(ours.get(2).node.formed)).not.toBe(clusterId)
    expect(ours.get(1).node.image.voters.length).toBe(3)
    expect(ours.get(2).node.image.voters.length).toBe(1)
    expect([1, 3]).toContain(ours.get(1).node.controllerId)
    const reasons = ours.log.named('voter-unreachable').map(({ fields }) => fields['code'])
    expect(reasons).toContain('INCONSISTENT_CLUSTER_ID')
  })

  it('a voter of the cluster that is not listed -> votes all the same, and is needed', async () => {
    const cluster = await formed(new ControllerCluster([1, 2, 3]))
    cluster.kill(3)
    const { node } = await cluster.start(3, { voters: [1, 3] })
    cluster.kill(1)
    await cluster.until('node 2 or 3 leads', () => cluster.running.some((running) => running.node.isActive))
    expect(node.image.voters.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3])
  })

  it.each(['formation', 'hard-state'])('RAFT-02: a damaged %s -> the node does not start', async (name) => {
    const cluster = await formed(new ControllerCluster([1]))
    cluster.kill(1)
    const disk = cluster.disk(1).afterKill()
    const handle = await disk.open(`/data/metadata/${name}`, 'read-write')
    await handle.write([new Uint8Array([0])], 20)
    await handle.close()
    cluster.useDisk(1, disk)
    await expect(cluster.start(1)).rejects.toThrow(
      expect.objectContaining({
        code: 'STORAGE_ERROR',
        retriable: false,
        message: expect.stringMatching(new RegExp(`/data/metadata/${name} is damaged`)),
      }),
    )
  })

  it('RAFT-02: a voter whose vote is missing does not start', async () => {
    const cluster = await formed(new ControllerCluster([1]))
    cluster.kill(1)
    const disk = cluster.disk(1).afterKill()
    await disk.remove('/data/metadata/hard-state')
    cluster.useDisk(1, disk)
    await expect(cluster.start(1)).rejects.toThrow(/hard-state is missing.*could vote twice/)
  })

  it.each([
    ['formation', { clusterId: 'short', voters: [], isVoter: true }, /does not hold a formation/],
    ['formation', { voters: 'none', isVoter: true }, /does not hold a formation/],
    ['formation', null, /does not hold a formation/],
    ['hard-state', { term: -1, votedFor: null }, /does not hold a term and a vote/],
    ['hard-state', [], /does not hold a term and a vote/],
  ])('a %s with %j -> the node does not start', async (name, data, message) => {
    const cluster = await formed(new ControllerCluster([1]))
    cluster.kill(1)
    const disk = cluster.disk(1).afterKill()
    await fileOf(disk, name, 1).write(data)
    cluster.useDisk(1, disk)
    await expect(cluster.start(1)).rejects.toThrow(message)
  })

  it.each(['formation', 'hard-state'])('a %s of a later release -> the node does not start', async (name) => {
    const cluster = await formed(new ControllerCluster([1]))
    cluster.kill(1)
    const disk = cluster.disk(1).afterKill()
    await fileOf(disk, name, 2).write({})
    cluster.useDisk(1, disk)
    await expect(cluster.start(1)).rejects.toThrow(/has version 2, which a later release wrote/)
  })

  it('metadata of another cluster than the directory -> the node does not start', async () => {
    const cluster = await formed(new ControllerCluster([1]))
    cluster.kill(1)
    const disk = cluster.disk(1).afterKill()
    await fileOf(disk, 'formation', 1).write({
      clusterId: runId('another-cluster'),
      voters: [],
      isVoter: false,
    })
    cluster.useDisk(1, disk)
    await expect(cluster.start(1)).rejects.toThrow(
      expect.objectContaining({ code: 'INCONSISTENT_CLUSTER_ID' }),
    )
  })
})

/** The formation of node 1 beside voters that answer what a test says. */
function formationBeside(
  answers: ReadonlyMap<NodeId, { readonly directoryId: string; readonly clusterId: string | null }>,
): { readonly formation: ClusterFormation; readonly log: RecordingLog; readonly clock: ManualClock } {
  const log = new RecordingLog()
  const clock = new ManualClock()
  const voters = [1, ...answers.keys()]
  const formation = new ClusterFormation({
    environment: {
      clock,
      log,
      random: seededRandom(1),
      fileSystem: new MemoryFileSystem(),
      cpu: createNodeCpu(null),
      process: new MemoryProcess(),
    },
    nodeId: 1,
    voters,
    directory: {
      path: '/data',
      directoryId: runId('directory-of-1'),
      clusterId: null,
      adoptClusterId: async () => {},
    },
    metadataPath: '/data/metadata',
    connectPeer: async (nodeId) => {
      const { directoryId, clusterId } = answers.get(nodeId)!
      const body = { directoryId, voters, formation: clusterId === null ? null : { clusterId, voters: [] } }
      return { request: async () => ({ body }) } as unknown as Connection
    },
    prepareToVote: async () => {},
  })
  return { formation, log, clock }
}

describe('answers of voters that contradict each other', () => {
  async function warnings(answers: Parameters<typeof formationBeside>[0]): Promise<readonly string[]> {
    const { formation, log, clock } = formationBeside(answers)
    const running = formation.run()
    for (let ms = 0; ms < 5_000; ms += 10) {
      clock.advance(10)
      await setImmediate()
    }
    formation.stop()
    expect(await running).toBe(null)
    expect(formation.membership).toBe(null)
    return log.events.map(({ event, fields }) => `${event}: ${String(fields['reason'])}`)
  }

  it('two clusters -> neither is joined', async () => {
    const answers = new Map([
      [2, { directoryId: runId('directory-of-2'), clusterId: runId('first') }],
      [3, { directoryId: runId('directory-of-3'), clusterId: runId('second') }],
    ])
    expect(await warnings(answers)).toEqual([
      `clusters-differ: The listed voters are not of one cluster: node 2 belongs to ${runId('first')}, ` +
        `node 3 belongs to ${runId('second')}. Check addresses and directories.`,
    ])
  })

  it('two copies of one directory -> no cluster is formed', async () => {
    const copy = { directoryId: runId('directory-of-1'), clusterId: null }
    expect(await warnings(new Map([[2, copy]]))).toEqual([
      'directories-not-distinct: No cluster is formed: two voters have the same directory id; one is a copy.',
    ])
  })
})

function fileOf(fileSystem: MemoryFileSystem, format: string, version: number): AtomicFile {
  const path = `/data/metadata/${format}`
  return new AtomicFile({ fileSystem, cpu: createNodeCpu(null), path, format, version })
}
