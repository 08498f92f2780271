// The client of the public API: what the entries for Node and the browser bind to a platform.
import { Admin } from './admin.ts'
import { AnyBroker } from './any-broker.ts'
import { parseBootstrap } from './bootstrap.ts'
import type { ClientContext } from './client-context.ts'
import type { ResolvedClientSettings } from './client-options.ts'
import { ClusterCalls } from './cluster-calls.ts'
import { ClusterView } from './cluster-view.ts'
import { Connections } from './connections.ts'
import { Consumer } from './consumer.ts'
import { type ConsumerOptions, resolveConsumerOptions } from './consumer-options.ts'
import type { ClientEnvironment } from './environment.ts'
import { closedError } from './errors.ts'
import { MetadataCache } from './metadata-cache.ts'
import { integerOption, resolveOptions } from './options.ts'
import { Producer } from './producer.ts'
import { type ProducerOptions, resolveProducerOptions } from './producer-options.ts'
import { SessionIds } from './session-ids.ts'

/** What this client calls itself in the logs of the brokers. */
export const CLIENT_SOFTWARE = 'vltava-client/0.1.0'

export interface ClientParts {
  readonly bootstrap: string | readonly string[]
  readonly environment: ClientEnvironment
  readonly settings: ResolvedClientSettings
}

const CLOSE_OPTIONS = {
  /** Milliseconds the producers have to flush. 0 to 86,400,000. */
  timeoutMs: integerOption({ min: 0, max: 86_400_000, fallback: 30_000 }),
} as const

/**
 * A client of one cluster. Its producers, consumers and admin calls share one connection to each broker. It connects
 * when it is first used. Made by `createClient()`.
 */
export class Client {
  /** Topics, offsets, and the cluster itself. */
  readonly admin: Admin
  readonly #context: ClientContext
  readonly #producers = new Set<Producer>()
  readonly #consumers = new Set<Consumer>()
  #closing: Promise<void> | null = null

  /**
   * For the entries and for tests; users call `createClient()`.
   * @throws VltavaError INVALID_ARGUMENT for the bootstrap addresses
   */
  constructor(parts: ClientParts) {
    const { environment, settings } = parts
    const { clock, random, log } = environment
    const bootstrapUrls = parseBootstrap(parts.bootstrap)
    const view = new ClusterView()
    const connections = new Connections({
      environment,
      settings,
      software: CLIENT_SOFTWARE,
      clusterId: () => view.clusterId,
      onHint: (hint) => this.#context.metadata.applyHint(hint),
    })
    const anyBroker = new AnyBroker({ clock, random, connections, view, bootstrapUrls })
    const metadata = new MetadataCache({ clock, random, log, settings, anyBroker, view })
    const calls = new ClusterCalls({ clock, random, settings, connections, anyBroker, view })
    this.#context = {
      environment,
      settings,
      connections,
      anyBroker,
      metadata,
      calls,
      sessionIds: new SessionIds(),
    }
    this.admin = new Admin(this.#context)
  }

  /**
   * A new producer. One is enough for most programs: it sends to any number of topics.
   * @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed; CLOSED
   */
  producer(options: ProducerOptions = {}): Producer {
    this.#checkOpen()
    const producer = new Producer(this.#context, {
      options: resolveProducerOptions(options),
      onClosed: (closed) => this.#producers.delete(closed),
    })
    this.#producers.add(producer)
    return producer
  }

  /**
   * A new consumer of one topic. It reads by itself, without a group.
   * @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed; INVALID_TOPIC, CLOSED
   */
  consumer(options: ConsumerOptions): Consumer {
    this.#checkOpen()
    const consumer = new Consumer(this.#context, {
      options: resolveConsumerOptions(options),
      onClosed: (closed) => this.#consumers.delete(closed),
    })
    if (!consumer.isClosed) this.#consumers.add(consumer)
    return consumer
  }

  /**
   * Closes the producers (each flushes first), the consumers and the connections. Calling it again waits for the
   * first call.
   * @param options timeoutMs: milliseconds the producers have to flush, 0 to 86,400,000, default 30,000.
   * @throws VltavaError INVALID_ARGUMENT for the option; nothing is closed then.
   */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    const { timeoutMs } = resolveOptions(CLOSE_OPTIONS, options, 'client.close')
    this.#closing ??= this.#close(timeoutMs)
    await this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    const ends = [...this.#consumers].map((consumer) => consumer.close())
    for (const producer of this.#producers) ends.push(producer.close({ timeoutMs }))
    await Promise.all(ends)
    this.#context.metadata.close()
    this.#context.calls.close()
    await this.#context.connections.close()
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw closedError('client')
  }
}
