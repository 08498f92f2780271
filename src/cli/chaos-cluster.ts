// The cluster of a chaos run: real processes that reach each other, and are reached, through proxies only.
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { ChaosNetwork } from './chaos-network.ts'
import { freePorts } from './free-ports.ts'
import { LocalCluster, type LocalNode } from './local-cluster.ts'

const WATCH_INTERVAL_MS = 100
const STOP_TIMEOUT_MS = 30_000
/** A node that keeps ending by itself is left alone after this many times. */
const UNEXPECTED_ENDS_MAX = 5
const LAST_LINES = 5
/** 128 and the number of the signal, as shells have it. */
const HANG_UP_EXIT_CODE = 129

export interface ChaosClusterOptions {
  readonly dataDir: string
  readonly brokers: number
  /** Settings of all nodes, by the names of the configuration table. */
  readonly settings: Readonly<Record<string, string>>
}

/** A node that ended although nobody asked it to. */
export interface UnexpectedEnd {
  readonly node: number
  /** The end of its log. */
  readonly lastLines: readonly string[]
}

export class ChaosCluster {
  readonly network: ChaosNetwork
  readonly #cluster: LocalCluster
  readonly #settings: Readonly<Record<string, string>>
  /** Nodes that are meant to run; whoever is to end leaves the set first. */
  readonly #expected = new Set<number>()
  readonly #paused = new Set<number>()
  readonly #unexpectedEnds: UnexpectedEnd[] = []
  readonly #hadToBeKilled: number[] = []
  readonly #watch: NodeJS.Timeout
  readonly #onExit = (): void => this.#killAll()
  /** The terminal was closed. Without a listener the process would end without the event `exit`. */
  readonly #onHangUp = (): void => process.exit(HANG_UP_EXIT_CODE)

  private constructor(parts: {
    readonly cluster: LocalCluster
    readonly network: ChaosNetwork
    readonly settings: Readonly<Record<string, string>>
  }) {
    this.#cluster = parts.cluster
    this.network = parts.network
    this.#settings = parts.settings
    this.#watch = setInterval(() => this.#restartTheDead(), WATCH_INTERVAL_MS)
    // The nodes are processes of their own: without this they would outlive a command that ends in a hurry.
    process.on('exit', this.#onExit)
    process.on('SIGHUP', this.#onHangUp)
  }

  /** Lays out the cluster and opens the proxies; starts nothing. */
  static async create(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const { dataDir, brokers, settings } = options
    const cluster = LocalCluster.create({ dataDir, brokers, ports: await freePorts(brokers) })
    const network = await ChaosNetwork.open(cluster.nodes)
    return new ChaosCluster({ cluster, network, settings })
  }

  get nodes(): readonly LocalNode[] {
    return this.#cluster.nodes
  }

  get dataDir(): string {
    return this.#cluster.dataDir
  }

  /** Where clients reach the cluster. */
  get bootstrap(): string {
    return this.nodes.map(({ id }) => this.#clientUrl(id)).join(',')
  }

  get unexpectedEnds(): readonly UnexpectedEnd[] {
    return this.#unexpectedEnds
  }

  /** Nodes that did not stop within 30 s of SIGTERM. */
  get hadToBeKilled(): readonly number[] {
    return this.#hadToBeKilled
  }

  isRunning(id: number): boolean {
    return this.#cluster.isRunning(this.#cluster.node(id))
  }

  start(id: number): void {
    this.#cluster.start(id, {
      ...this.#settings,
      'controller.quorum.voters': this.#votersOf(id),
      'advertised.url': this.#clientUrl(id),
    })
    this.#expected.add(id)
  }

  /** Starts whatever does not run, and lets whatever is paused go on. */
  startAll(): void {
    for (const { id } of this.nodes) {
      this.resume(id)
      this.start(id)
    }
  }

  async whenReady(timeoutMs: number, signal: AbortSignal): Promise<void> {
    await this.#cluster.whenReady(timeoutMs, signal)
  }

  async kill(id: number): Promise<void> {
    this.#expected.delete(id)
    this.#paused.delete(id)
    this.#cluster.signal(id, 'SIGKILL')
    await this.#cluster.whenStopped(id, STOP_TIMEOUT_MS)
  }

  async killAll(): Promise<void> {
    await Promise.all(this.nodes.map(({ id }) => this.kill(id)))
  }

  pause(id: number): void {
    if (!this.isRunning(id)) return
    this.#paused.add(id)
    this.#cluster.signal(id, 'SIGSTOP')
  }

  resume(id: number): void {
    if (this.#paused.delete(id)) this.#cluster.signal(id, 'SIGCONT')
  }

  /** Stops a node in order; one that does not is killed, and remembered for it. */
  async stop(id: number): Promise<void> {
    this.#expected.delete(id)
    this.resume(id)
    this.#cluster.signal(id, 'SIGTERM')
    if (await this.#cluster.whenStopped(id, STOP_TIMEOUT_MS)) return
    this.#hadToBeKilled.push(id)
    await this.kill(id)
  }

  /** Stops all nodes in order. */
  async stopAll(): Promise<void> {
    await Promise.all(this.nodes.map(({ id }) => this.stop(id)))
  }

  /** Ends whatever is left, at once. */
  async close(): Promise<void> {
    clearInterval(this.#watch)
    this.network.heal()
    await this.killAll()
    await this.network.close()
    process.off('exit', this.#onExit)
    process.off('SIGHUP', this.#onHangUp)
  }

  #killAll(): void {
    for (const { id } of this.nodes) this.#cluster.signal(id, 'SIGKILL')
  }

  /** The voters as one node reaches them: every other one through the proxy of that very link. */
  #votersOf(id: number): string {
    return this.nodes
      .map((node) => `${node.id}@127.0.0.1:${node.id === id ? node.port : this.network.port(id, node.id)}`)
      .join(',')
  }

  #clientUrl(id: number): string {
    return `ws://127.0.0.1:${this.network.port('clients', id)}`
  }

  #restartTheDead(): void {
    for (const id of [...this.#expected]) {
      if (this.isRunning(id)) continue
      this.#expected.delete(id)
      this.#unexpectedEnds.push({ node: id, lastLines: lastLinesOf(this.#cluster.node(id)) })
      const ends = this.#unexpectedEnds.filter(({ node }) => node === id).length
      if (ends < UNEXPECTED_ENDS_MAX) this.start(id)
    }
  }
}

function lastLinesOf({ logFile }: LocalNode): readonly string[] {
  if (!existsSync(logFile)) return []
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LAST_LINES)
}

/** Waits, or less where the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}
