import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ProduceFlow } from '../../../src/broker/produce-flow.ts'
import { createClient } from '../../../src/client/node.ts'
import { readConfig } from '../../../src/server/config.ts'
import { METRIC_ROWS } from '../../../src/server/metrics/metrics-endpoint.ts'
import { createNodeEnvironment } from '../../../src/server/node-environment.ts'
import { NodeServer } from '../../../src/server/node-server.ts'
import { RecordingLog } from '../../../src/testing/recording-log.ts'

const directories: string[] = []

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true })
})

async function startNode(flags: Readonly<Record<string, string | number>> = {}): Promise<NodeServer> {
  const directory = await mkdtemp(join(tmpdir(), 'vltava-metrics-'))
  directories.push(directory)
  const server = await NodeServer.start({
    environment: createNodeEnvironment(new RecordingLog()),
    config: readConfig({
      flags: { 'log.dir': directory, 'listener.port': 0, ...flags },
      environment: {},
      file: null,
    }),
    secret: null,
    software: 'test/1.0',
  })
  await vi.waitUntil(() => server.isReady, { timeout: 20_000 })
  return server
}

/** The samples of the endpoint, by name and labels as they stand there. */
async function scrape(server: NodeServer): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4')
  const samples = new Map<string, number>()
  for (const line of (await response.text()).split('\n')) {
    const found = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line)
    if (found !== null) samples.set(found[1]!, Number(found[2]))
  }
  return samples
}

describe('GET /metrics', () => {
  it('names: each stands once, in Prometheus form, with a meaning', () => {
    const names = METRIC_ROWS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, help, type } of METRIC_ROWS) {
      expect(name).toMatch(/^[a-z][a-z_]*$/)
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(help).toMatch(/^[A-Z1].*\.$/)
    }
  })

  it('a broker that was written to and read from -> counts records and bytes, shows offsets and who leads', async () => {
    const server = await startNode()
    const client = createClient({ bootstrap: server.url })
    try {
      await client.admin.createTopic({ name: 'orders', partitions: 2 })
      const producer = client.producer()
      for (let i = 0; i < 5; i++) await producer.send({ topic: 'orders', partition: 0, value: `apples ${i}` })
      const consumer = client.consumer({ topic: 'orders', from: 'beginning' })
      let read = 0
      for await (const _record of consumer) if (++read === 5) break
      const samples = await scrape(server)
      expect(samples.get('kafka_brokers')).toBe(1)
      expect(samples.get('kafka_topic_partitions{topic="orders"}')).toBe(2)
      expect(samples.get('kafka_topic_partition_current_offset{topic="orders",partition="0"}')).toBe(5)
      expect(samples.get('kafka_topic_partition_current_offset{topic="orders",partition="1"}')).toBe(0)
      expect(samples.get('kafka_topic_partition_leader{topic="orders",partition="0"}')).toBe(1)
      expect(samples.get('kafka_server_replicamanager_leadercount')).toBe(2)
      expect(samples.get('kafka_server_replicamanager_underreplicatedpartitions')).toBe(0)
      expect(samples.get('kafka_server_brokertopicmetrics_messagesin_total{topic="orders"}')).toBe(5)
      const bytesIn = samples.get('kafka_server_brokertopicmetrics_bytesin_total{topic="orders"}')!
      expect(bytesIn).toBeGreaterThan(5 * 61)
      expect(
        samples.get('kafka_server_brokertopicmetrics_bytesout_total{topic="orders"}'),
      ).toBeGreaterThanOrEqual(bytesIn)
      expect(samples.get('kafka_controller_kafkacontroller_activecontrollercount')).toBe(1)
      expect(samples.get('kafka_controller_kafkacontroller_globalpartitioncount')).toBe(2)
      expect(samples.get('kafka_controller_kafkacontroller_offlinepartitionscount')).toBe(0)
      expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(0)
    } finally {
      await client.close()
      await server.stop()
    }
  })

  it('a produce that is refused -> counts as failed, with its bytes', async () => {
    const server = await startNode()
    const client = createClient({ bootstrap: server.url })
    try {
      await client.admin.createTopic({ name: 'small' })
      const { registry, counters } = server.broker!
      const [hosted] = registry.hosted
      const flow = new ProduceFlow({
        environment: createNodeEnvironment(new RecordingLog()),
        registry,
        counters,
      })
      const garbage = new Uint8Array(100)
      const { topicId, partition } = hosted!.options
      const target = { topicId, partition, currentLeaderEpoch: -1, batchesBytes: garbage.length }
      const answer = await flow.handle({ acks: -1, timeoutMs: 1_000, partitions: [target] }, garbage)
      expect(answer.partitions[0]!.error).not.toBeNull()
      const samples = await scrape(server)
      expect(samples.get('kafka_server_brokertopicmetrics_failedproducerequests_total{topic="small"}')).toBe(
        1,
      )
      expect(samples.get('kafka_server_brokertopicmetrics_bytesrejected_total{topic="small"}')).toBe(100)
      expect(samples.get('kafka_server_brokertopicmetrics_messagesin_total{topic="small"}')).toBe(0)
    } finally {
      await client.close()
      await server.stop()
    }
  })

  it('a deleted topic -> its counters are gone', async () => {
    const server = await startNode()
    const client = createClient({ bootstrap: server.url })
    try {
      await client.admin.createTopic({ name: 'gone' })
      await client.producer().send({ topic: 'gone', value: 'x' })
      await client.admin.deleteTopic('gone')
      const samples = await scrape(server)
      expect([...samples.keys()].filter((name) => name.includes('topic="gone"'))).toEqual([])
      expect(server.broker!.counters.topics.size).toBe(0)
    } finally {
      await client.close()
      await server.stop()
    }
  })

  it('a node that is controller only -> tells nothing of brokers', async () => {
    const server = await startNode({ 'process.roles': 'controller' })
    try {
      const samples = await scrape(server)
      expect(samples.get('kafka_controller_kafkacontroller_activecontrollercount')).toBeTypeOf('number')
      expect([...samples.keys()].filter((name) => name.startsWith('kafka_server_replicamanager'))).toEqual([])
      expect(samples.has('kafka_brokers')).toBe(false)
    } finally {
      await server.stop()
    }
  })
})
