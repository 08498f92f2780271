import { pack, unpack } from 'msgpackr'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import { ERRORS } from '../../src/model/error-codes.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import { describeTopic, destroyCluster, runCommand, startCluster } from './command.ts'

/** A client made by hand: a bare WebSocket and msgpack, nothing of ours. */
class HandMadeClient {
  readonly #socket: WebSocket
  readonly #answers = new Map<number, (header: readonly unknown[]) => void>()
  #nextId = 1
  readonly closed: Promise<number>

  private constructor(socket: WebSocket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('message', (data: Buffer) => {
      const header = unpack(data.subarray(4, 4 + data.readUInt32LE(0))) as readonly unknown[]
      this.#answers.get(header[3] as number)?.(header)
    })
  }

  static connect(url: string): Promise<HandMadeClient> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, 'vltava.v1')
      socket.on('error', reject)
      socket.on('open', () => resolve(new HandMadeClient(socket)))
    })
  }

  send(kind: 0 | 2, apiKey: number, body: unknown): number {
    const id = this.#nextId++
    const header = pack([kind, apiKey, 0, id, 0, body])
    const length = Buffer.alloc(4)
    length.writeUInt32LE(header.length)
    this.#socket.send(Buffer.concat([length, header]))
    return id
  }

  request(apiKey: number, body: unknown): Promise<{ readonly error: number; readonly body: unknown }> {
    const id = this.send(0, apiKey, body)
    return new Promise((resolve) => {
      this.#answers.set(id, (header) => resolve({ error: header[4] as number, body: header[5] }))
    })
  }

  close(): void {
    this.#socket.close()
  }
}

describe('a hand-made client without the cluster secret', () => {
  let cluster: LocalCluster
  let client: HandMadeClient
  let topicId: string

  beforeAll(async () => {
    cluster = await startCluster('peer-apis')
    await runCommand(['topic', 'create', 'guarded', '-b', cluster.bootstrap])
    await runCommand(['produce', 'guarded', '-b', cluster.bootstrap], { input: 'a\nb\n' })
    topicId = (await describeTopic(cluster.bootstrap, 'guarded')).id
    client = await HandMadeClient.connect(cluster.nodes[0]!.url)
    expect((await client.request(18, ['hand-made', null, null])).error).toBe(0)
  })
  afterAll(async () => {
    client.close()
    await destroyCluster(cluster)
  })

  const peerApis = APIS.filter((api) => api.caller === 'peer')

  it('there are peer APIs to guard', () => {
    expect(peerApis.length).toBeGreaterThanOrEqual(9)
  })

  it.each(peerApis.filter((api) => !api.oneWay).map((api) => [api.name, api.key] as const))(
    'SEC-30 SEC-31: %s -> refused, whatever the body says',
    async (_name, key) => {
      const before = await describeTopic(cluster.bootstrap, 'guarded')
      const forged = [1, 0, 1024, [[topicId, 0, 0, 2, 2, 0, 1024]]]
      for (const body of [forged, [], null, [1, 2, 3]]) {
        expect((await client.request(key, body)).error).toBe(ERRORS.CLUSTER_AUTHORIZATION_FAILED.code)
      }
      expect(await describeTopic(cluster.bootstrap, 'guarded')).toEqual(before)
    },
  )

  it('SEC-31: one-way peer messages -> dropped, the cluster stays as it is', async () => {
    const before = await describeTopic(cluster.bootstrap, 'guarded')
    const other = await HandMadeClient.connect(cluster.nodes[1]!.url)
    await other.request(18, ['hand-made', null, null])
    for (const api of peerApis.filter(({ oneWay }) => oneWay)) {
      other.send(2, api.key, [[1, 1, 2, 1_000_000, 1, 0]])
      other.send(2, api.key, [99, [[topicId, 0, 0, 1_000_000]]])
    }
    expect(await describeTopic(cluster.bootstrap, 'guarded')).toEqual(before)
    other.close()
  })

  it('SEC-32: a claim to be a peer without the secret -> refused', async () => {
    const other = await HandMadeClient.connect(cluster.nodes[0]!.url)
    const claim = [2, 'A'.repeat(22), 1, Buffer.alloc(32, 1)]
    expect((await other.request(18, ['hand-made', null, claim])).error).toBe(0)
    expect((await other.request(36, [Buffer.alloc(32, 2)])).error).toBe(ERRORS.AUTHENTICATION_FAILED.code)
    await other.closed
  })

  it('SEC-33: a node of another cluster with the same ids -> refused', async () => {
    const other = await HandMadeClient.connect(cluster.nodes[0]!.url)
    const answer = await other.request(18, ['hand-made', 'B'.repeat(22), null])
    expect(answer.error).toBe(ERRORS.INCONSISTENT_CLUSTER_ID.code)
  })

  it('a request before hello -> the connection is closed', async () => {
    const other = await HandMadeClient.connect(cluster.nodes[0]!.url)
    other.send(0, 3, [null])
    await other.closed
  })
})
