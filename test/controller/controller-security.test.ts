import { describe, expect, it } from 'vitest'
import type { Connection } from '../../src/net/connection.ts'
import { alterPartition } from '../../src/protocol/alter-partition.ts'
import type { AnyApi } from '../../src/protocol/api.ts'
import { brokerHeartbeat, fetchMetadata, registerBroker } from '../../src/protocol/broker-lifecycle.ts'
import { findController, quorumProbe, raftMessage } from '../../src/protocol/quorum.ts'
import { createTopic } from '../../src/protocol/topics.ts'
import { type Message, raftMessageSchema } from '../../src/raft/messages.ts'
import type { Wire } from '../../src/schema/schema.ts'
import { ControllerCluster, codeOf, runId } from './controller-cluster.ts'
import { TestBroker } from './test-broker.ts'

const REGISTRATION = {
  incarnationId: runId('client'),
  directoryId: runId('client'),
  url: 'ws://client:1',
  previousBrokerEpoch: null,
  cleanShutdown: false,
}
const HEARTBEAT = {
  brokerEpoch: 1,
  metadataOffset: 1,
  wantUnfenced: true,
  wantShutdown: false,
  offlineLogs: [],
  damagedLogs: [],
  droppedTails: [],
}

async function cluster3(): Promise<ControllerCluster> {
  const cluster = new ControllerCluster([1, 2, 3])
  await cluster.startAll()
  await cluster.active()
  await cluster.pass(200)
  return cluster
}

describe('SEC-31: the controller serves its peers only', () => {
  it.each<[string, AnyApi, unknown]>([
    ['register-broker', registerBroker, REGISTRATION],
    ['broker-heartbeat', brokerHeartbeat, HEARTBEAT],
    ['alter-partition', alterPartition, { brokerEpoch: 1, partitions: [] }],
    ['fetch-metadata', fetchMetadata, { fromOffset: 1, maxWaitMs: 0, maxBytes: 1 }],
    ['quorum-probe', quorumProbe, { directoryId: runId('client'), voters: [1] }],
    ['find-controller', findController, {}],
  ])('%s from a client -> CLUSTER_AUTHORIZATION_FAILED, nothing changes', async (_name, api, body) => {
    const cluster = await cluster3()
    const { nodeId, node } = await cluster.active()
    const { image } = node
    const client = await cluster.connect(nodeId, null)
    const code = codeOf(client.request(api, body, { timeoutMs: 1_000 }))
    expect(await cluster.answer(code)).toBe('CLUSTER_AUTHORIZATION_FAILED')
    await cluster.pass(500)
    expect(node.image).toBe(image)
  })

  it('a client may ask for a topic', async () => {
    const cluster = await cluster3()
    const { nodeId } = await cluster.active()
    const client = await cluster.connect(nodeId, null)
    const request = {
      name: 'a',
      partitions: 1,
      replicationFactor: null,
      configs: [],
      observers: 0,
      timeoutMs: 1_000,
    }
    const code = codeOf(client.request(createTopic, request, { timeoutMs: 1_000 }))
    expect(await cluster.answer(code)).toBe('INVALID_REPLICATION_FACTOR')
  })
})

describe('SEC-33: a peer speaks for itself only', () => {
  it('a registration under the incarnation of another run -> INVALID_REQUEST', async () => {
    const cluster = await cluster3()
    const broker = await new TestBroker(cluster, 11).connect()
    expect(await codeOf(broker.register({ incarnationId: runId('another') }))).toBe('INVALID_REQUEST')
  })

  it('a heartbeat counts for the node that the connection proved', async () => {
    const cluster = await cluster3()
    const first = await (await new TestBroker(cluster, 11).connect()).register()
    const second = await new TestBroker(cluster, 12).connect()
    second.brokerEpoch = first.brokerEpoch
    expect(await codeOf(second.heartbeat())).toBe('BROKER_ID_NOT_REGISTERED')
  })

  const vote = { type: 'vote', to: 1, term: 1_000, lastIndex: 1_000, lastTerm: 1_000, forced: false } as const
  it.each<[string, number, Message]>([
    ['a voter that names another voter as the sender', 2, { ...vote, from: 3 }],
    ['a node that is no voter and names one', 11, { ...vote, from: 2 }],
    ['a voter that sends what is for another node', 2, { ...vote, from: 2, to: 3 }],
  ])('a Raft message of %s is refused and changes no term', async (_what, sender, message) => {
    const cluster = await cluster3()
    const { connection, term } = await speakTo(cluster, sender)
    connection.notify(raftMessage, {
      message: raftMessageSchema.encode(message),
      directoryId: null,
      url: null,
    })
    await cluster.pass(500)
    expect(cluster.log.named('raft-message-refused').length).toBe(1)
    expect(await term()).toBeLessThan(1_000)
  })

  it('the same from the voter itself is taken', async () => {
    const cluster = await cluster3()
    const { connection, term } = await speakTo(cluster, 2)
    const response: Message = { type: 'heartbeat-response', from: 2, to: 1, term: 1_000, round: 0 }
    connection.notify(raftMessage, {
      message: raftMessageSchema.encode(response),
      directoryId: null,
      url: null,
    })
    await cluster.pass(500)
    expect(await term()).toBeGreaterThanOrEqual(1_000)
  })

  it.each<[string, Wire]>([
    ['no list', 'vote'],
    ['an unknown type', [99, []]],
    ['entries that do not follow each other', [4, [2, 1, 1, 0, 0, 0, [[2, 1, null]]]]],
  ])('a Raft message that is %s is dropped', async (_what, message) => {
    const cluster = await cluster3()
    const { connection, term } = await speakTo(cluster, 2)
    const before = await term()
    connection.notify(raftMessage, { message, directoryId: null, url: null })
    await cluster.pass(200)
    expect(await term()).toBe(before)
    expect(cluster.log.named('request-failed')).toEqual([])
    expect(connection.isOpen).toBe(true)
  })
})

/** A connection to node 1 under the id of another node, and the term node 1 is in. */
async function speakTo(
  cluster: ControllerCluster,
  nodeId: number,
): Promise<{ readonly connection: Connection; readonly term: () => Promise<number> }> {
  const broker = await new TestBroker(cluster, nodeId).connect(1)
  const term = async () => (await broker.request(findController, {})).term
  return { connection: broker.connection, term }
}
