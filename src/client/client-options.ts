import { type Log, silentLog } from '../base/log.ts'
import { customOption, type Given, integerOption, type Resolved, resolveOptions } from './options.ts'

const CLIENT_OPTIONS = {
  /** Milliseconds to open a connection to one broker, its hello included. 100 to 60,000, default 5,000. */
  connectTimeoutMs: integerOption({ min: 100, max: 60_000, fallback: 5_000 }),
  /**
   * Milliseconds for which the bootstrap servers are tried before calls fail with BOOTSTRAP_UNREACHABLE, which takes
   * `connectTimeoutMs` longer where the last one does not answer. It counts only until one has ever answered. 100 to
   * 600,000, default 10,000.
   */
  bootstrapTimeoutMs: integerOption({ min: 100, max: 600_000, fallback: 10_000 }),
  /** Milliseconds a broker has to answer a request for metadata or offsets. 100 to 300,000, default 30,000. */
  requestTimeoutMs: integerOption({ min: 100, max: 300_000, fallback: 30_000 }),
  /** Milliseconds before the first repeated attempt; the pause doubles from there. 1 to 60,000, default 50. */
  retryBackoffMs: integerOption({ min: 1, max: 60_000, fallback: 50 }),
  /** The longest pause between two attempts, in milliseconds. 1 to 60,000, default 1,000. */
  retryBackoffMaxMs: integerOption({ min: 1, max: 60_000, fallback: 1_000 }),
  /**
   * Milliseconds after which metadata in use is asked for again even though nothing seems wrong. 1,000 to 86,400,000,
   * default 300,000.
   */
  metadataMaxAgeMs: integerOption({ min: 1_000, max: 86_400_000, fallback: 300_000 }),
} as const

/** How a client talks to its cluster. Every option may be left out. */
export type ClientSettings = Given<typeof CLIENT_OPTIONS>
export type ResolvedClientSettings = Resolved<typeof CLIENT_OPTIONS>

/** Whether it can be used as a Log. */
export const isLog = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  ['debug', 'info', 'warn', 'error', 'child'].every(
    (name) => typeof (value as Record<string, unknown>)[name] === 'function',
  )

/** What `createClient` takes besides the addresses. */
const ENTRY_OPTIONS = {
  ...CLIENT_OPTIONS,
  /** Where the client reports what it does, as structured events. Default: nowhere. */
  log: customOption<Log>({
    fallback: silentLog,
    allowed: 'an object with debug, info, warn, error and child',
    check: isLog,
  }),
} as const

/** Only `bootstrap` is required. */
export type CreateClientOptions = Given<typeof ENTRY_OPTIONS> & {
  /** Addresses as `host:port`, `ws://host:port` or `wss://host:port`, as a list or separated by commas. */
  readonly bootstrap: string | readonly string[]
}

export interface EntryOptions {
  readonly bootstrap: string | readonly string[]
  readonly log: Log
  readonly settings: ResolvedClientSettings
}

/** @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed. */
export function resolveEntryOptions(given: CreateClientOptions): EntryOptions {
  const { bootstrap, ...rest } = given
  const { log, ...settings } = resolveOptions(ENTRY_OPTIONS, rest, 'client')
  return { bootstrap, log, settings }
}

/** @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed. */
export function resolveClientSettings(given: ClientSettings): ResolvedClientSettings {
  return resolveOptions(CLIENT_OPTIONS, given, 'client')
}
