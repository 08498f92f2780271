// The composition root: puts the ports, the data directory, the connections and the roles of one node together.
import { toBase64Url } from '../base/bytes.ts'
import type { BrokerIdentity } from '../broker/broker-environment.ts'
import { BrokerNode } from '../broker/broker-node.ts'
import { ControllerNode } from '../controller/controller-node.ts'
import type { DynamicSettings } from '../metadata/dynamic-settings.ts'
import { VltavaError } from '../model/errors.ts'
import type { IncarnationId, NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import { registerHandshake } from '../net/handshake.ts'
import { MemoryNetwork } from '../net/memory-transport.ts'
import { Router } from '../net/router.ts'
import type { Channel, Listener } from '../net/transport.ts'
import { cordonBroker, unregisterBroker } from '../protocol/broker-removal.ts'
import { alterConfigs } from '../protocol/configs.ts'
import { electLeaders } from '../protocol/elect-leaders.ts'
import { readMetadataLog } from '../protocol/metadata-log.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../protocol/quorum-admin.ts'
import { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import { changeReplicaRole } from '../protocol/replica-role.ts'
import { createPartitions, createTopic, deleteTopic } from '../protocol/topics.ts'
import { LogDirectory } from '../storage/log-directory.ts'
import type { NodeConfig, PeerAddress } from './config.ts'
import type { Environment } from './environment.ts'
import { healthHandler } from './health.ts'
import { MetricsEndpoint } from './metrics/metrics-endpoint.ts'
import { PeerConnections } from './peer-connections.ts'
import { type Readiness, readinessOf } from './readiness.ts'
import {
  brokerSettingsOf,
  controllerSettingsOf,
  dynamicSettingsOf,
  storageSettingsOf,
} from './role-settings.ts'
import { settingRowsOf } from './setting-rows.ts'

const SECRET_BYTES = 32
const THREAD_POOL_SIZE_DEFAULT = 4
const LOOPBACK_URL = 'ws://self:1'

export interface NodeServerOptions {
  readonly environment: Environment
  readonly config: NodeConfig
  /** The secret of the cluster; a node that is alone may have none, and then draws one for itself. */
  readonly secret: Uint8Array | null
  /** Name and version, shown to whoever connects. */
  readonly software: string
  /** Threads of the libuv pool (UV_THREADPOOL_SIZE), which bounds the fsyncs at once. Default 4, as in Node. */
  readonly threadPoolSize?: number
}

interface Roles {
  readonly broker: BrokerNode | null
  readonly controller: ControllerNode | null
}

interface Parts extends Roles {
  readonly directory: LogDirectory
  readonly listeners: readonly Listener[]
  readonly peers: PeerConnections
  readonly url: string
}

/** One running node. */
export class NodeServer {
  /** Where others reach it. */
  readonly url: string
  readonly #parts: Parts
  #stopping: Promise<void> | null = null

  private constructor(parts: Parts) {
    this.#parts = parts
    this.url = parts.url
  }

  /**
   * Opens the data directory, listens, and starts the roles. It resolves when the node answers, not when it serves:
   * `isReady` and GET /readyz tell that.
   * @throws VltavaError INVALID_CONFIG (no data directory, no secret, a directory of another node), INVALID_ARGUMENT
   *   (port in use), INVALID_REQUEST (directory in use), INCONSISTENT_CLUSTER_ID, STORAGE_ERROR.
   */
  static async start(options: NodeServerOptions): Promise<NodeServer> {
    const { environment, config } = options
    const path = config.texts['log.dir']
    if (path === null)
      throw new VltavaError('INVALID_CONFIG', 'log.dir: is needed; name the data directory with --data-dir.')
    const secret = secretOf(options)
    // The broker lets it follow the metadata: only its records need room on the disk.
    const dynamic = dynamicSettingsOf(config)
    const directory = await LogDirectory.open({
      ...environment,
      path,
      nodeId: config.integers['node.id'],
      settings: storageSettingsOf(config, {
        threadPoolSize: options.threadPoolSize ?? THREAD_POOL_SIZE_DEFAULT,
        dynamic,
      }),
      onFailure: (error) => environment.process.fail(`the data directory ${path} failed`, error),
    })
    try {
      return new NodeServer(await assemble(options, { directory, secret, dynamic }))
    } catch (error) {
      await directory.close({ cleanBrokerEpoch: null })
      throw error
    }
  }

  get port(): number {
    return this.#parts.listeners[0]!.port
  }

  get directory(): LogDirectory {
    return this.#parts.directory
  }

  get broker(): BrokerNode | null {
    return this.#parts.broker
  }

  get controller(): ControllerNode | null {
    return this.#parts.controller
  }

  /** Whether the node serves what its roles promise. */
  get isReady(): boolean {
    return this.#stopping === null && readiness(this.#parts).ready
  }

  /** Stops the roles in order, flushes everything and leaves the clean-shutdown marker. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Every step is taken whatever became of those before; what failed first is thrown at the end. */
  async #stop(): Promise<void> {
    const { broker, controller, peers, listeners, directory } = this.#parts
    const failures: unknown[] = []
    const attempt = async (step: () => Promise<unknown> | undefined): Promise<void> => {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    await attempt(() => broker?.stop())
    await attempt(() => controller?.stop())
    peers.close()
    for (const listener of listeners) await attempt(() => listener.close())
    const cleanBrokerEpoch = failures.length === 0 ? (broker?.cleanBrokerEpoch ?? null) : null
    await attempt(() => directory.close({ cleanBrokerEpoch }))
    if (failures.length > 0) throw failures[0]
  }
}

function secretOf({ config, secret, environment }: NodeServerOptions): Uint8Array {
  if (secret !== null) return secret
  if (config.peers?.some((peer) => peer.nodeId !== config.integers['node.id'])) {
    throw new VltavaError(
      'INVALID_CONFIG',
      'cluster.secret.file: a node with peers needs the secret they share; make a file with 32 random bytes as text and name it with --cluster-secret-file.',
    )
  }
  const drawn = new Uint8Array(SECRET_BYTES)
  environment.random.fill(drawn)
  return drawn
}

function drawId(environment: Environment): IncarnationId {
  const bytes = new Uint8Array(16)
  environment.random.fill(bytes)
  return toBase64Url(bytes)
}

function readiness({ broker, controller }: Roles): Readiness {
  return readinessOf({
    isStopping: broker?.isStopped === true,
    broker: broker?.readiness ?? null,
    controller: controller === null ? null : { leaderKnown: controller.controllerId !== null },
  })
}

async function assemble(
  options: NodeServerOptions,
  opened: {
    readonly directory: LogDirectory
    readonly secret: Uint8Array
    readonly dynamic: DynamicSettings
  },
): Promise<Parts> {
  const { environment, config, software } = options
  const { directory, secret, dynamic } = opened
  const { clock, random, log, mac } = environment
  const identity = { nodeId: config.integers['node.id'], incarnationId: drawId(environment) }
  const router = new Router(log)
  const clusterId = (): string | null => directory.clusterId
  const accept = registerHandshake({
    router,
    clock,
    log,
    random,
    mac,
    ...identity,
    isBroker: config.roles.broker,
    isController: config.roles.controller,
    software,
    clusterId,
    secret,
  })
  const roles: Roles = { broker: null, controller: null }
  const loopback = new MemoryNetwork(clock)
  const onChannel = (channel: Channel): void => void accept(channel)
  const listener = await listen({ options, roles, directory, onChannel })
  const listeners = [listener, await loopback.listen({ host: 'self', port: 1, onChannel })]
  const url = config.texts['advertised.url'] ?? `ws://${config.texts['listener.host']}:${listener.port}`
  const voters = config.peers ?? [{ nodeId: identity.nodeId, url }]
  const peers = new PeerConnections({
    environment,
    router,
    ...identity,
    secret,
    software,
    clusterId,
    loopback: { transport: loopback, url: LOOPBACK_URL },
    urlOf: (id) => voters.find((voter) => voter.nodeId === id)?.url ?? null,
  })
  try {
    const broker = { ...identity, url, rack: config.texts['broker.rack'] }
    Object.assign(roles, makeRoles({ options, directory, dynamic, peers, voters, identity: broker }))
    addHandlers(router, roles)
    await roles.controller?.start()
    roles.broker?.start()
  } catch (error) {
    peers.close()
    await Promise.all(listeners.map((open) => open.close()))
    throw error
  }
  return { directory, listeners, peers, ...roles, url }
}

function listen(of: {
  readonly options: NodeServerOptions
  readonly roles: Roles
  readonly directory: LogDirectory
  readonly onChannel: (channel: Channel) => void
}): Promise<Listener> {
  const { environment, config } = of.options
  const metrics = new MetricsEndpoint(of.roles)
  return environment.listeners.listen({
    host: config.texts['listener.host'] ?? '127.0.0.1',
    port: config.integers['listener.port'],
    allowedOrigins: (config.texts['allowed.origins'] ?? '').split(',').filter((origin) => origin !== ''),
    httpHandler: healthHandler({
      readiness: () => readiness(of.roles),
      metrics: () => metrics.answer(),
      readOnlyReason: () => of.directory.readOnlyReason,
    }),
    onChannel: of.onChannel,
  })
}

function makeRoles(from: {
  readonly options: NodeServerOptions
  readonly directory: LogDirectory
  /** Of the broker and its directory. */
  readonly dynamic: DynamicSettings
  readonly peers: PeerConnections
  readonly voters: readonly PeerAddress[]
  readonly identity: BrokerIdentity
}): Roles {
  const { directory, dynamic, voters, identity } = from
  const { environment, config } = from.options
  const connectPeer = (id: NodeId, url: string | null = null): Promise<Connection> =>
    from.peers.connect(id, url)
  const { nodeId } = identity
  const controllerDynamic = dynamicSettingsOf(config)
  const controller = config.roles.controller
    ? new ControllerNode({
        ...environment,
        nodeId,
        incarnationId: identity.incarnationId,
        voters,
        url: identity.url,
        directory,
        connectPeer,
        settings: controllerSettingsOf(config, controllerDynamic),
      })
    : null
  // Before the controller looks at what an image changes.
  controller?.onImage((image) => void controllerDynamic.follow(image))
  // This node first: the answer of its own controller costs no network.
  const ordered = [...voters].sort((a, b) => Number(b.nodeId === nodeId) - Number(a.nodeId === nodeId))
  const settings = brokerSettingsOf(config, dynamic)
  const broker = config.roles.broker
    ? new BrokerNode({
        environment,
        settings,
        dynamic,
        nodeSettings: settingRowsOf(config),
        identity,
        directory,
        voters: ordered,
        connectPeer,
        adoptsClusterId: controller === null,
      })
    : null
  return { broker, controller }
}

/**
 * A combined node has two handlers for topic requests: those of clients go to the broker, which passes them on to the
 * active controller as a peer; those of peers are for the controller.
 */
function addHandlers(router: Router, { broker, controller }: Roles): void {
  broker?.addHandlers(router)
  controller?.addHandlers(router)
  const roleFor = (connection: Connection): BrokerNode | ControllerNode =>
    connection.identity !== null && controller !== null ? controller : (broker ?? controller)!
  router.handle(createTopic, (call) => roleFor(call.connection).createTopic(call))
  router.handle(createPartitions, (call) => roleFor(call.connection).createPartitions(call))
  router.handle(deleteTopic, (call) => roleFor(call.connection).deleteTopic(call))
  router.handle(alterConfigs, (call) => roleFor(call.connection).alterConfigs(call))
  router.handle(changeReplicaRole, (call) => roleFor(call.connection).changeReplicaRole(call))
  router.handle(alterPartitionReassignments, (call) =>
    roleFor(call.connection).alterPartitionReassignments(call),
  )
  router.handle(listPartitionReassignments, (call) =>
    roleFor(call.connection).listPartitionReassignments(call),
  )
  router.handle(electLeaders, (call) => roleFor(call.connection).electLeaders(call))
  router.handle(readMetadataLog, (call) => roleFor(call.connection).readMetadataLog(call))
  router.handle(describeQuorum, (call) => roleFor(call.connection).quorum.describe(call))
  router.handle(addVoter, (call) => roleFor(call.connection).quorum.addVoter(call))
  router.handle(removeVoter, (call) => roleFor(call.connection).quorum.removeVoter(call))
  router.handle(cordonBroker, (call) => roleFor(call.connection).brokerRemoval.cordon(call))
  router.handle(unregisterBroker, (call) => roleFor(call.connection).brokerRemoval.unregister(call))
  router.handle(transferController, (call) => roleFor(call.connection).quorum.transfer(call))
}
