import type { AnyBroker } from './any-broker.ts'
import type { ResolvedClientSettings } from './client-options.ts'
import type { ClusterCalls } from './cluster-calls.ts'
import type { Connections } from './connections.ts'
import type { ClientEnvironment } from './environment.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { SessionIds } from './session-ids.ts'

/** What the producers, consumers and admin calls of one client share. */
export interface ClientContext {
  readonly environment: ClientEnvironment
  readonly settings: ResolvedClientSettings
  readonly connections: Connections
  readonly anyBroker: AnyBroker
  readonly metadata: MetadataCache
  readonly calls: ClusterCalls
  readonly sessionIds: SessionIds
}
