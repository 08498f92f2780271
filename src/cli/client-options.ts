import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import { createClient } from '../client/node.ts'
import { type Terminal, UsageError } from './terminal.ts'

const DEFAULT_BOOTSTRAP = 'ws://127.0.0.1:7101'
/** A person waits: shorter than what suits a program that starts beside its cluster. */
const BOOTSTRAP_TIMEOUT_MS = 4_000
const CONNECT_TIMEOUT_MS = 3_000

export interface BootstrapOptions {
  readonly bootstrap?: string
  readonly bootstrapServer?: string
}

/** Adds -b, --bootstrap and its alias to a command that talks to a cluster. */
export function withBootstrap(command: Command): Command {
  return command
    .option(
      '-b, --bootstrap <urls>',
      `brokers to start from, with commas; VLTAVA_BOOTSTRAP (default ${DEFAULT_BOOTSTRAP})`,
    )
    .option('--bootstrap-server <urls>', 'the same as --bootstrap')
}

/** The bootstrap servers: from the option, else the environment, else the first broker of a local cluster. */
export function bootstrapOf(options: BootstrapOptions, terminal: Terminal): string {
  if (options.bootstrap !== undefined && options.bootstrapServer !== undefined) {
    throw new UsageError('--bootstrap and --bootstrap-server mean the same; use one of them')
  }
  return options.bootstrap ?? options.bootstrapServer ?? terminal.env['VLTAVA_BOOTSTRAP'] ?? DEFAULT_BOOTSTRAP
}

/** Runs the task with a client and closes it afterwards, whatever happens. */
export async function withClient<T>(
  options: BootstrapOptions,
  terminal: Terminal,
  task: (client: Client) => Promise<T>,
): Promise<T> {
  const client = createClient({
    bootstrap: bootstrapOf(options, terminal),
    bootstrapTimeoutMs: BOOTSTRAP_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  })
  try {
    return await task(client)
  } finally {
    await client.close()
  }
}
