import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { ClusterId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import { registerHandshake } from '../../src/net/handshake.ts'
import type { OpenOptions, PeerCredentials } from '../../src/net/open-connection.ts'
import { Router } from '../../src/net/router.ts'
import type { Channel, Transport } from '../../src/net/transport.ts'
import { createNodeMac } from '../../src/platform/node/node-mac.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'

export const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i)
export const OTHER_SECRET = Uint8Array.from({ length: 32 }, (_, i) => 100 + i)
export const CLUSTER: ClusterId = 'clusterclusterclusterA'
export const OTHER_CLUSTER: ClusterId = 'clusterclusterclusterB'
export const mac = createNodeMac()

/** The incarnation of node n in these tests. */
export const incarnationOf = (nodeId: number): string => String(nodeId).padStart(22, 'I')

/** A node that accepts channels; it keeps the connections it made of them. */
export function testNode(options: {
  readonly clock: Clock
  readonly nodeId: number
  readonly secret?: Uint8Array | null
  readonly clusterId?: ClusterId | null
}) {
  const { clock, nodeId, secret = SECRET, clusterId = CLUSTER } = options
  const log = new RecordingLog()
  const router = new Router(log)
  const accept = registerHandshake({
    router,
    clock,
    log,
    random: seededRandom(1_000 + nodeId),
    mac,
    nodeId,
    incarnationId: incarnationOf(nodeId),
    isBroker: true,
    isController: false,
    software: 'vltava test',
    clusterId: () => clusterId,
    secret,
  })
  const connections: Connection[] = []
  const onChannel = (channel: Channel): void => {
    connections.push(accept(channel))
  }
  return { log, router, connections, onChannel }
}

/** Node 7 as it dials node 1, unless something else is said. */
export function peerCredentials(changes: Partial<PeerCredentials> = {}): PeerCredentials {
  return {
    nodeId: 7,
    incarnationId: incarnationOf(7),
    expectedNodeId: 1,
    secret: SECRET,
    mac,
    random: seededRandom(7),
    ...changes,
  }
}

export function openOptions(
  base: { readonly clock: Clock; readonly transport: Transport; readonly url: string },
  changes: Partial<OpenOptions> = {},
): OpenOptions {
  const log = new RecordingLog()
  return {
    ...base,
    router: new Router(log),
    log,
    software: 'test client',
    clusterId: CLUSTER,
    asPeer: null,
    timeoutMs: 1_000,
    ...changes,
  }
}
