// vltava serve: one node in this process.
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { VltavaError } from '../model/errors.ts'
import { type ConfigSource, readConfig } from '../server/config.ts'
import { readConfigFile } from '../server/config-file.ts'
import { CONFIG_TABLE } from '../server/config-table.ts'
import { createLogger } from '../server/logger.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { NodeServer } from '../server/node-server.ts'
import { EXIT, type RunAction, type Terminal, UsageError } from './terminal.ts'
import { parsePair } from './text-options.ts'
import { packageVersion } from './version.ts'

interface ServeOptions {
  readonly config?: string
  readonly nodeId?: string
  readonly dataDir?: string
  readonly host?: string
  readonly port?: string
  readonly peers?: string
  readonly roles?: string
  readonly advertisedUrl?: string
  readonly clusterSecretFile?: string
  readonly logLevel?: string
  readonly set: readonly string[]
}

export function addServeCommand(program: Command, terminal: Terminal, run: RunAction): void {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  program
    .command('serve')
    .description('run one node: broker, controller or both; alone, or with --peers as part of a cluster')
    .option('--config <file>', 'a YAML or JSON file of settings')
    .option('--node-id <id>', 'the id of this node (default 1)')
    .option('--data-dir <directory>', 'the data directory; needed here, in the file or as VLTAVA_LOG_DIR')
    .option('--host <address>', 'the address to listen on (default 127.0.0.1)')
    .option('--port <port>', 'the port for everything; 0 takes a free one (default 7101)')
    .option(
      '--peers <list>',
      'all controllers as id@host:port with commas; without it the node is a cluster of its own',
    )
    .option('--roles <roles>', 'broker, controller or broker,controller (default)')
    .option('--advertised-url <url>', 'where others reach this node (default ws://<host>:<port>)')
    .option('--cluster-secret-file <file>', 'the secret that the nodes share; or VLTAVA_CLUSTER_SECRET')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default info)')
    .option('--set <name=value>', 'any other setting; may be repeated', collect, [])
    .addHelpText(
      'after',
      () =>
        `\nSettings for --set, the file and the environment (VLTAVA_ and the name in capitals):\n${settingsHelp()}\n`,
    )
    .action((options: ServeOptions) => run(() => serve(options, terminal)))
}

function settingsHelp(): string {
  return Object.entries(CONFIG_TABLE)
    .map(([name, row]) => {
      const fallback =
        row.fallback === null ? '' : ` (default ${row.fallback === '' ? 'empty' : row.fallback})`
      return `  ${name}${fallback}\n      ${row.doc}`
    })
    .join('\n')
}

/** The options of the command line under the names of the configuration table. */
function flagsOf(options: ServeOptions): ConfigSource {
  const set = options.set.map((pair) => parsePair(pair, '--set'))
  for (const { name } of set) {
    if (!Object.hasOwn(CONFIG_TABLE, name)) {
      throw new UsageError(`--set: unknown setting ${JSON.stringify(name)}; "vltava serve --help" lists them`)
    }
  }
  const named = {
    'node.id': options.nodeId,
    'log.dir': options.dataDir,
    'listener.host': options.host,
    'listener.port': options.port,
    'controller.quorum.voters': options.peers,
    'process.roles': options.roles,
    'advertised.url': options.advertisedUrl,
    'cluster.secret.file': options.clusterSecretFile,
    'log.level': options.logLevel,
  }
  const given = Object.entries(named).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(set.map(({ name, value }) => [name, value])), ...Object.fromEntries(given) }
}

function readSecret(
  texts: Readonly<Record<'cluster.secret' | 'cluster.secret.file', string | null>>,
): Uint8Array | null {
  const file = texts['cluster.secret.file']
  if (file === null) {
    const secret = texts['cluster.secret']
    return secret === null ? null : new TextEncoder().encode(secret.trim())
  }
  try {
    return new TextEncoder().encode(readFileSync(file, 'utf8').trim())
  } catch (cause) {
    throw new VltavaError(
      'INVALID_CONFIG',
      `cluster.secret.file: ${file} cannot be read: ${(cause as Error).message}`,
      { cause },
    )
  }
}

async function serve(options: ServeOptions, terminal: Terminal): Promise<number> {
  const file = options.config === undefined ? null : await readConfigFile(options.config)
  const config = readConfig({ flags: flagsOf(options), environment: terminal.env, file })
  const log = createLogger(config.texts['log.level'] ?? 'info').child({ nodeId: config.integers['node.id'] })
  const server = await NodeServer.start({
    environment: createNodeEnvironment(log),
    config,
    secret: readSecret(config.texts),
    software: `vltava/${packageVersion()}`,
    threadPoolSize: Number(terminal.env['UV_THREADPOOL_SIZE'] ?? 4) || 4,
  })
  log.info('serving', { url: server.url, dataDir: config.texts['log.dir'] })
  await whenAborted(terminal.interrupted)
  log.info('stopping')
  await server.stop()
  log.info('stopped')
  return EXIT.done
}

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
