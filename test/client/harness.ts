import { expect } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { Client } from '../../src/client/client.ts'
import { type ClientSettings, resolveClientSettings } from '../../src/client/client-options.ts'
import type { Producer } from '../../src/client/producer.ts'
import type { ProducerRecord, Receipt } from '../../src/client/records.ts'
import { toVltavaError, type VltavaError } from '../../src/model/errors.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { FakeCluster } from './fake-cluster.ts'
import { TestClock } from './test-clock.ts'

/** A client and a cluster on one manual clock. */
export interface Harness {
  readonly clock: TestClock
  readonly network: MemoryNetwork
  readonly cluster: FakeCluster
  readonly client: Client
  readonly log: RecordingLog
}

export async function makeHarness(
  options: {
    readonly brokers?: number
    readonly bootstrap?: string | readonly string[]
    readonly settings?: ClientSettings
    readonly seed?: number
  } = {},
): Promise<Harness> {
  const clock = new TestClock()
  const network = new MemoryNetwork(clock)
  const cluster = new FakeCluster({ clock, network })
  await cluster.start(options.brokers ?? 3)
  const log = new RecordingLog()
  const client = new Client({
    bootstrap: options.bootstrap ?? cluster.bootstrap,
    environment: {
      clock,
      random: seededRandom(options.seed ?? 1),
      log,
      cpu: createNodeCpu(null),
      transport: network.endpoint('client'),
    },
    settings: resolveClientSettings(options.settings ?? {}),
  })
  return { clock, network, cluster, client, log }
}

/** A promise whose state a test can look at between steps of the clock. */
export interface Watched<T> {
  readonly state: 'pending' | 'done' | 'failed'
  readonly value: T
  readonly error: VltavaError
}

export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: { state: 'pending' | 'done' | 'failed'; value?: T; error?: VltavaError } = {
    state: 'pending',
  }
  promise.then(
    (value) => Object.assign(watched, { state: 'done', value }),
    (error: unknown) => Object.assign(watched, { state: 'failed', error: toVltavaError(error) }),
  )
  return watched as Watched<T>
}

/** Sends records without waiting between them. */
export function sendAll(producer: Producer, records: readonly ProducerRecord[]): readonly Watched<Receipt>[] {
  return records.map((record) => watch(producer.send(record)))
}

/** Closes the client and checks that nothing of it is left: no timer, no connection. */
export async function expectCleanClose(harness: Harness): Promise<void> {
  const { client, clock, cluster } = harness
  const closed = watch(client.close())
  // Records that nobody answers are given up after the default of 30 s.
  await clock.run(31_000)
  expect(closed.state).toBe('done')
  // Fetches that were parked at the brokers answer nobody now.
  await clock.run(60_000)
  expect(clock.pendingTimers).toBe(0)
  expect([...cluster.brokers.values()].map(({ connectionsCount }) => connectionsCount)).toEqual(
    [...cluster.brokers.values()].map(() => 0),
  )
}

/** The texts of numbers from `from` to `to`, exclusive. */
export function numbers(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from }, (_, i) => String(from + i))
}
