import { describe, expect, it } from 'vitest'
import { imageOfRecords } from '../../src/metadata/image-snapshot.ts'
import { type SnapshotRecord, snapshotRecordSchema } from '../../src/metadata/snapshot-records.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { fetchSnapshot } from '../../src/protocol/broker-lifecycle.ts'
import { decodeWire } from '../../src/protocol/codec.ts'
import { createTopic, deleteTopic } from '../../src/protocol/topics.ts'
import { unpackValues } from '../../src/record/batch-values.ts'
import { ControllerCluster, codeOf } from './controller-cluster.ts'
import { liveBrokers, type TestBroker } from './test-broker.ts'

const cpu = createNodeCpu(null)

/** A snapshot every few commands, and next to no trailing entries. */
function smallCluster(ids: readonly number[] = [1, 2, 3]): ControllerCluster {
  return new ControllerCluster(ids, { bytesBetweenSnapshots: 1_024, sessionTimeoutMs: 600_000 })
}

async function makeTopics(broker: TestBroker, names: readonly string[]): Promise<number> {
  let offset = 0
  for (const name of names) {
    const request = { name, partitions: 2, replicationFactor: 1, configs: [], observers: 0, timeoutMs: 5_000 }
    offset = (await broker.request(createTopic, request)).metadataOffset
  }
  return offset
}

const named = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}-${i}`)

function everywhere(cluster: ControllerCluster, metadataOffset: number): Promise<void> {
  return cluster.until(`all apply ${metadataOffset}`, () =>
    cluster.running.every(({ node }) => node.image.metadataOffset >= metadataOffset),
  )
}

describe('snapshots of controllers', () => {
  it('RAFT-28, RAFT-38: a voter that was away while the log was dropped -> gets the snapshot, and all are the same', async () => {
    const cluster = smallCluster()
    await cluster.startAll()
    const { nodeId } = await cluster.active()
    const away = cluster.ids.find((id) => id !== nodeId)!
    const [broker] = await liveBrokers(cluster, [11])
    cluster.kill(away)
    await everywhere(cluster, await makeTopics(broker!, named('away', 20)))
    await cluster.pass(100)
    await cluster.start(away)
    await everywhere(cluster, await makeTopics(broker!, ['after']))
    expect(cluster.log.named('metadata-snapshot-installed').map(({ fields }) => fields['nodeId'])).toEqual([
      away,
    ])
    const [first, ...others] = cluster.running.map(({ node }) => node.image)
    expect(first!.topics.size).toBe(21)
    for (const image of others) expect(image).toEqual(first)
    // It keeps up from there on, and starts from its own files.
    cluster.kill(away)
    await cluster.start(away)
    await cluster.until('it is back', () => cluster.get(away).node.image.topics.size === 21)
    expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
  })

  it('RAFT-29: all stop and start -> the state is that of the snapshot and what follows, at every offset', async () => {
    const cluster = smallCluster()
    await cluster.startAll()
    const [broker] = await liveBrokers(cluster, [11])
    await everywhere(cluster, await makeTopics(broker!, named('t', 30)))
    await cluster.pass(100)
    const before = cluster.running[0]!.node.image
    expect(cluster.running.every(({ node }) => node.voter!.controller.committedLog.startOffset > 10)).toBe(
      true,
    )
    for (const id of cluster.ids) cluster.cutPower(id)
    await cluster.startAll()
    // Before anything is committed again, each knows what its snapshot says and no more.
    for (const { node } of cluster.running) {
      expect(node.image.metadataOffset).toBeGreaterThan(10)
      expect(node.image.metadataOffset).toBeLessThanOrEqual(before.metadataOffset)
    }
    await cluster.active()
    await everywhere(cluster, before.metadataOffset)
    for (const { node } of cluster.running) {
      expect(node.image.topics).toEqual(before.topics)
      expect([...node.image.topics.keys()]).toEqual([...before.topics.keys()])
      expect(node.image.brokers).toEqual(before.brokers)
    }
  })

  it('one voter alone: its log and memory stay small, and a start finds everything', async () => {
    const cluster = smallCluster([1])
    await cluster.startAll()
    await cluster.active()
    const [broker] = await liveBrokers(cluster, [11])
    const offset = await makeTopics(broker!, named('t', 40))
    await cluster.pass(100)
    const files = (await cluster.disk(1).list('/data/metadata')).map(({ name }) => name)
    expect(files.filter((name) => name.endsWith('.checkpoint')).length).toBe(2)
    expect(Number(files.find((name) => name.endsWith('.log'))!.slice(0, 20))).toBeGreaterThan(offset - 20)
    cluster.cutPower(1)
    await cluster.start(1)
    await cluster.active()
    expect(cluster.get(1).node.image.topics.size).toBe(40)
  })

  it('STO-24, JEP-19: a voter with damaged snapshots -> starts from the older one, or not at all; the others go on', async () => {
    const cluster = smallCluster()
    await cluster.startAll()
    const { nodeId } = await cluster.active()
    const victim = cluster.ids.find((id) => id !== nodeId)!
    const [broker] = await liveBrokers(cluster, [11])
    await everywhere(cluster, await makeTopics(broker!, named('t', 30)))
    await cluster.pass(100)
    const damage = async (which: readonly number[]): Promise<void> => {
      cluster.kill(victim)
      const disk = cluster.disk(victim).afterKill()
      const names = (await disk.list('/data/metadata')).map(({ name }) => name)
      const checkpoints = names.filter((name) => name.endsWith('.checkpoint')).reverse()
      for (const i of which) {
        const handle = await disk.open(`/data/metadata/${checkpoints[i]}`, 'read-write')
        await handle.write([new Uint8Array([0xff, 0xfe])], 80)
        await handle.close()
      }
      cluster.useDisk(victim, disk)
    }
    await damage([0])
    await cluster.start(victim)
    await cluster.until('it is back', () => cluster.get(victim).node.image.topics.size === 30)
    await everywhere(cluster, await makeTopics(broker!, named('more', 10)))
    await cluster.pass(100)
    await damage([0, 1])
    await expect(cluster.start(victim)).rejects.toThrow(/no intact snapshot/)
    await makeTopics(broker!, ['without-it'])
  })
})

async function downloaded(
  broker: TestBroker,
  snapshot: { metadataOffset: number; term: number; sizeBytes: number },
) {
  const bytes = new Uint8Array(snapshot.sizeBytes)
  let position = 0
  while (position < snapshot.sizeBytes) {
    const { metadataOffset, term } = snapshot
    const { part } = await broker.request(fetchSnapshot, { metadataOffset, term, position, maxBytes: 100 })
    bytes.set(part, position)
    position += part.length
  }
  const records: SnapshotRecord[] = []
  for (const value of unpackValues(bytes, { cpu, leaderEpoch: snapshot.term })) {
    records.push(decodeWire(snapshotRecordSchema, value))
  }
  return imageOfRecords(records)
}

describe('brokers and snapshots', () => {
  async function withDroppedLog() {
    const cluster = smallCluster([1])
    await cluster.startAll()
    await cluster.active()
    const [broker] = await liveBrokers(cluster, [11])
    await makeTopics(broker!, named('t', 10))
    await broker!.request(deleteTopic, { name: 't-3', timeoutMs: 5_000 })
    await makeTopics(broker!, named('u', 20))
    await cluster.pass(100)
    return { cluster, broker: broker! }
  }

  it('RAFT-38: an offset below the log start -> the snapshot is named, and the log goes on behind it', async () => {
    const { cluster, broker } = await withDroppedLog()
    const answer = await cluster.answer(broker.fetch({ fromOffset: 1 }))
    expect(answer.entries).toEqual([])
    const image = await downloaded(broker, answer.snapshot!)
    expect(image.metadataOffset).toBe(answer.snapshot!.metadataOffset)
    const next = await cluster.answer(broker.fetch({ fromOffset: image.metadataOffset + 1 }))
    expect(next.snapshot).toBeNull()
    expect(image.metadataOffset + next.entries.length).toBe(next.committedOffset)
  })

  it('a topic that was deleted meanwhile -> the snapshot says so', async () => {
    const { cluster, broker } = await withDroppedLog()
    const { snapshot } = await cluster.answer(broker.fetch({ fromOffset: 1 }))
    const image = await downloaded(broker, snapshot!)
    expect(image.deletedTopics.size).toBe(1)
    expect(image.topicIds.has('t-3')).toBe(false)
  })

  it('a snapshot that is gone, or a position beyond its end -> a definite error', async () => {
    const { cluster, broker } = await withDroppedLog()
    const { snapshot } = await cluster.answer(broker.fetch({ fromOffset: 1 }))
    const { metadataOffset, term, sizeBytes } = snapshot!
    const ask = (fields: object) => {
      const request = { metadataOffset, term, position: 0, maxBytes: 100, ...fields }
      return codeOf(broker.request(fetchSnapshot, request))
    }
    expect(await ask({ metadataOffset: metadataOffset - 1 })).toBe('SNAPSHOT_NOT_FOUND')
    expect(await ask({ term: term + 1 })).toBe('SNAPSHOT_NOT_FOUND')
    expect(await ask({ position: sizeBytes + 1 })).toBe('POSITION_OUT_OF_RANGE')
    expect(await ask({ position: sizeBytes })).toBe('no error')
  })
})
