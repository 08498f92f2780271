// vltava cluster up | status | down: a local cluster of real processes.
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { createClient } from '../client/node.ts'
import { VltavaError } from '../model/errors.ts'
import { LocalCluster } from './local-cluster.ts'
import { columns, plural } from './output.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger } from './text-options.ts'

const DEFAULT_DATA_DIR = './.vltava'
const READY_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 15_000
const STATUS_TIMEOUT_MS = 2_000
const WATCH_INTERVAL_MS = 500
const PORT_MAX = 65_535

/** One line of `cluster status`. */
export interface BrokerStatus {
  readonly id: number
  readonly url: string
  readonly pid: number | null
  readonly state: 'up' | 'fenced' | 'down'
}

export interface ClusterStatus {
  readonly clusterId: string | null
  readonly controller: number | null
  readonly brokers: readonly BrokerStatus[]
}

interface UpOptions {
  readonly brokers?: string
  readonly dataDir: string
  readonly basePort?: string
  readonly detach?: boolean
}

export function addClusterCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const cluster = program.command('cluster').description('run a cluster of real processes on this machine')
  cluster
    .command('up')
    .description('start the brokers; again after a crash, starts those that are down')
    .option('--brokers <count>', 'how many brokers, 1 to 9 (default 3)')
    .option('--data-dir <directory>', 'where the cluster lives', DEFAULT_DATA_DIR)
    .option('--base-port <port>', 'the port of the first broker (default 7101)')
    .option('-d, --detach', 'return when the brokers are ready and leave them running')
    .action((options: UpOptions) => run(() => up(options, terminal)))
  cluster
    .command('status')
    .description('show the brokers and the active controller')
    .option('--data-dir <directory>', 'where the cluster lives', DEFAULT_DATA_DIR)
    .option('--json', 'print one JSON object')
    .action((options: { dataDir: string; json?: boolean }) => run(() => status(options, terminal)))
  cluster
    .command('down')
    .description('stop the brokers; the data stays')
    .option('--data-dir <directory>', 'where the cluster lives', DEFAULT_DATA_DIR)
    .option('--delete-data', 'delete the data directory afterwards; needs --yes')
    .option('--yes', 'do it without asking')
    .action((options: { dataDir: string; deleteData?: boolean; yes?: boolean }) =>
      run(() => down(options, terminal)),
    )
}

function layOut(options: UpOptions): LocalCluster {
  const brokers =
    options.brokers === undefined
      ? null
      : parseInteger(options.brokers, { option: '--brokers', min: 1, max: 9 })
  const basePort =
    options.basePort === undefined
      ? null
      : parseInteger(options.basePort, { option: '--base-port', min: 1, max: PORT_MAX - 8 })
  if (!LocalCluster.exists(options.dataDir)) {
    const ports = Array.from({ length: brokers ?? 3 }, (_, i) => (basePort ?? 7101) + i)
    return LocalCluster.create({ dataDir: options.dataDir, brokers: brokers ?? 3, ports })
  }
  const cluster = LocalCluster.load(options.dataDir)
  if (brokers !== null && brokers !== cluster.nodes.length) {
    throw new UsageError(
      `--brokers: the cluster in ${cluster.dataDir} has ${cluster.nodes.length} brokers; use another --data-dir for a new one`,
    )
  }
  if (basePort !== null && basePort !== cluster.nodes[0]!.port) {
    throw new UsageError(
      `--base-port: the cluster in ${cluster.dataDir} has base port ${cluster.nodes[0]!.port}`,
    )
  }
  return cluster
}

async function up(options: UpOptions, terminal: Terminal): Promise<number> {
  const cluster = layOut(options)
  const started = cluster.nodes.filter((node) => !cluster.isRunning(node))
  if (started.length === 0) {
    say(terminal, `All ${plural(cluster.nodes.length, 'broker')} of ${cluster.dataDir} run already.`)
    return EXIT.done
  }
  for (const node of started) cluster.start(node.id)
  const stopStarted = async (): Promise<void> => {
    for (const node of started) cluster.signal(node.id, 'SIGTERM')
    for (const node of started)
      if (!(await cluster.whenStopped(node.id, STOP_TIMEOUT_MS))) cluster.signal(node.id, 'SIGKILL')
  }
  try {
    await cluster.whenReady(READY_TIMEOUT_MS, terminal.interrupted)
  } catch (error) {
    await stopStarted()
    throw error
  }
  say(terminal, `${plural(cluster.nodes.length, 'broker')} up in ${cluster.dataDir}: ${cluster.bootstrap}`)
  if (options.detach === true) {
    say(terminal, `Stop them with: vltava cluster down --data-dir ${options.dataDir}`)
    return EXIT.done
  }
  say(terminal, 'Press Ctrl-C to stop.')
  return watch(cluster, terminal)
}

/** Stays until interrupted, and tells when a broker ends by itself. */
async function watch(cluster: LocalCluster, terminal: Terminal): Promise<number> {
  const alive = new Set(cluster.nodes)
  while (!terminal.interrupted.aborted && alive.size > 0) {
    await delay(WATCH_INTERVAL_MS, undefined, { signal: terminal.interrupted }).catch(() => {})
    for (const node of alive) {
      if (cluster.isRunning(node)) continue
      alive.delete(node)
      if (!terminal.interrupted.aborted) say(terminal, `Broker ${node.id} ended; its log is ${node.logFile}`)
    }
  }
  if (!terminal.interrupted.aborted) return EXIT.failed
  say(terminal, 'Stopping ...')
  const killed = await cluster.stop(STOP_TIMEOUT_MS)
  say(
    terminal,
    killed.length === 0 ? 'All brokers stopped.' : `Brokers ${killed.join(', ')} had to be killed.`,
  )
  return EXIT.done
}

/** What the running brokers say of the cluster; without an answer everything that is not stopped counts as fenced. */
export async function clusterStatus(cluster: LocalCluster): Promise<ClusterStatus> {
  const running = cluster.nodes.filter((node) => cluster.isRunning(node))
  const described = running.length === 0 ? null : await describe(running.map((node) => node.url))
  const brokers = cluster.nodes.map((node): BrokerStatus => {
    const isRunning = running.includes(node)
    const registered = described?.brokers.find((broker) => broker.brokerId === node.id)
    const state = !isRunning ? 'down' : registered?.fenced === false ? 'up' : 'fenced'
    return { id: node.id, url: node.url, pid: isRunning ? node.process!.pid : null, state }
  })
  const controller = described?.controllerId ?? null
  const isAlive = brokers.some(({ id, state }) => id === controller && state !== 'down')
  return { clusterId: described?.clusterId ?? null, controller: isAlive ? controller : null, brokers }
}

async function describe(
  urls: readonly string[],
): Promise<Awaited<ReturnType<ReturnType<typeof createClient>['admin']['describeCluster']>> | null> {
  const client = createClient({ bootstrap: [...urls], connectTimeoutMs: STATUS_TIMEOUT_MS })
  try {
    return await client.admin.describeCluster()
  } catch (error) {
    if (error instanceof VltavaError) return null
    throw error
  } finally {
    await client.close()
  }
}

async function status(options: { dataDir: string; json?: boolean }, terminal: Terminal): Promise<number> {
  const found = await clusterStatus(LocalCluster.load(options.dataDir))
  if (options.json === true) {
    terminal.stdout.write(`${JSON.stringify(found)}\n`)
    return EXIT.done
  }
  const rows = found.brokers.map(({ id, url, pid, state }) => [
    String(id),
    url,
    pid === null ? '-' : String(pid),
    state,
  ])
  terminal.stdout.write(
    `cluster ${found.clusterId ?? '(not reachable)'}, controller ${found.controller ?? '(none)'}\n`,
  )
  terminal.stdout.write(`${columns([['BROKER', 'URL', 'PID', 'STATE'], ...rows])}\n`)
  return EXIT.done
}

async function down(
  options: { dataDir: string; deleteData?: boolean; yes?: boolean },
  terminal: Terminal,
): Promise<number> {
  const cluster = LocalCluster.load(options.dataDir)
  if (options.deleteData === true && options.yes !== true) {
    throw new UsageError(
      `--delete-data deletes ${resolve(options.dataDir)} with all records; add --yes if you mean it`,
    )
  }
  const running = cluster.nodes.filter((node) => cluster.isRunning(node)).length
  const killed = await cluster.stop(STOP_TIMEOUT_MS)
  if (options.deleteData === true) rmSync(cluster.dataDir, { recursive: true, force: true })
  if (running === 0) say(terminal, 'No broker was running.')
  else if (killed.length === 0) say(terminal, `${plural(running, 'broker')} stopped.`)
  else say(terminal, `Brokers ${killed.join(', ')} did not stop in time and were killed.`)
  return EXIT.done
}
