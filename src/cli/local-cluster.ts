// A local cluster of real processes: one data directory that holds the nodes' directories, their secret, their logs
// and the list of their processes.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { VltavaError } from '../model/errors.ts'
import { nodeProcess, processIdentityOf } from '../server/node-environment.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/vltava.cjs', import.meta.url))
const READY_POLL_MS = 25
const STOP_POLL_MS = 25

export interface LocalNode {
  readonly id: number
  readonly url: string
  readonly port: number
  readonly dataDir: string
  readonly logFile: string
  /** Of the process started last; null before the first start. */
  process: { readonly pid: number; readonly bootId: string; readonly startTime: string } | null
}

interface ClusterFile {
  readonly formatVersion: 1
  readonly nodes: LocalNode[]
}

export interface CreateClusterOptions {
  readonly dataDir: string
  readonly brokers: number
  /** One port per broker. */
  readonly ports: readonly number[]
}

/** The nodes of one local cluster and their processes. */
export class LocalCluster {
  readonly dataDir: string
  readonly nodes: readonly LocalNode[]

  private constructor(dataDir: string, nodes: readonly LocalNode[]) {
    this.dataDir = dataDir
    this.nodes = nodes
  }

  static fileOf(dataDir: string): string {
    return join(resolve(dataDir), 'cluster.json')
  }

  static exists(dataDir: string): boolean {
    return existsSync(LocalCluster.fileOf(dataDir))
  }

  /** @throws VltavaError INVALID_ARGUMENT where there is no cluster in the directory. */
  static load(dataDir: string): LocalCluster {
    const file = LocalCluster.fileOf(dataDir)
    if (!existsSync(file)) {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `There is no cluster in ${resolve(dataDir)} (no cluster.json). Start one with "vltava cluster up" or name its directory with --data-dir.`,
      )
    }
    try {
      const content = JSON.parse(readFileSync(file, 'utf8')) as ClusterFile
      if (content.formatVersion !== 1)
        throw new Error(`format version ${String(content.formatVersion)} is not known`)
      return new LocalCluster(resolve(dataDir), content.nodes)
    } catch (cause) {
      throw new VltavaError('INVALID_ARGUMENT', `${file} cannot be read: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  /** Lays out a new cluster; starts nothing. */
  static create(options: CreateClusterOptions): LocalCluster {
    const dataDir = resolve(options.dataDir)
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(join(dataDir, 'cluster.secret'), `${randomBytes(32).toString('base64url')}\n`, {
      mode: 0o600,
    })
    const nodes = Array.from({ length: options.brokers }, (_, i): LocalNode => {
      const port = options.ports[i]!
      return {
        id: i + 1,
        port,
        url: `ws://127.0.0.1:${port}`,
        dataDir: join(dataDir, `node-${i + 1}`),
        logFile: join(dataDir, `node-${i + 1}.log`),
        process: null,
      }
    })
    const cluster = new LocalCluster(dataDir, nodes)
    cluster.#save()
    return cluster
  }

  get bootstrap(): string {
    return this.nodes.map((node) => node.url).join(',')
  }

  node(id: number): LocalNode {
    const node = this.nodes.find((candidate) => candidate.id === id)
    if (node === undefined)
      throw new VltavaError('INVALID_ARGUMENT', `There is no node ${id} in this cluster.`)
    return node
  }

  isRunning(node: LocalNode): boolean {
    return node.process !== null && nodeProcess().isRunning(node.process)
  }

  /** Starts the process of a node that does not run. `settings` are names and values as in the configuration table. */
  start(id: number, settings: Readonly<Record<string, string>> = {}): void {
    const node = this.node(id)
    if (this.isRunning(node)) return
    const args = [
      'serve',
      '--node-id',
      String(node.id),
      '--data-dir',
      node.dataDir,
      '--port',
      String(node.port),
    ]
    args.push('--cluster-secret-file', join(this.dataDir, 'cluster.secret'))
    const peers = this.nodes.map((peer) => `${peer.id}@127.0.0.1:${peer.port}`).join(',')
    const all = { 'controller.quorum.voters': peers, ...settings }
    for (const [name, value] of Object.entries(all)) args.push('--set', `${name}=${value}`)
    const output = openSync(node.logFile, 'a')
    // Detached: Ctrl-C in the terminal goes to us alone, and we stop the nodes in order.
    const child = spawn(process.execPath, [LAUNCHER, ...args], {
      stdio: ['ignore', output, output],
      detached: true,
    })
    closeSync(output)
    if (child.pid === undefined) throw new VltavaError('INVALID_ARGUMENT', `Node ${id} could not be started.`)
    child.on('error', () => {})
    child.unref()
    node.process = processIdentityOf(child.pid)
    this.#save()
  }

  /**
   * Resolves when every running node says that it is ready.
   * @throws VltavaError when one ends instead (with the end of its log) or the time is up.
   */
  async whenReady(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    const waiting = new Set(this.nodes.filter((node) => node.process !== null))
    while (waiting.size > 0) {
      signal?.throwIfAborted()
      for (const node of waiting) {
        if (!this.isRunning(node)) throw new VltavaError('CONNECTION_FAILED', this.#deathOf(node))
        if (await isReady(node.port)) waiting.delete(node)
      }
      if (waiting.size > 0 && performance.now() > deadlineMs) {
        const ids = [...waiting].map((node) => node.id).join(', ')
        throw new VltavaError(
          'REQUEST_TIMED_OUT',
          `Nodes ${ids} were not ready within ${timeoutMs / 1_000} s. Their logs are in ${this.dataDir}/node-<id>.log.`,
        )
      }
      if (waiting.size > 0) await delay(READY_POLL_MS)
    }
  }

  /** Sends a signal to a node's process, if that very process still runs. */
  signal(id: number, signal: NodeJS.Signals): void {
    const node = this.node(id)
    if (node.process !== null && this.isRunning(node)) process.kill(node.process.pid, signal)
  }

  /** Resolves when the node's process is gone; false when the time is up before. */
  async whenStopped(id: number, timeoutMs: number): Promise<boolean> {
    const node = this.node(id)
    const deadlineMs = performance.now() + timeoutMs
    while (this.isRunning(node)) {
      if (performance.now() > deadlineMs) return false
      await delay(STOP_POLL_MS)
    }
    return true
  }

  /** Stops all nodes: politely first, with SIGKILL after the time. Returns the ids that had to be killed. */
  async stop(timeoutMs: number): Promise<readonly number[]> {
    const running = this.nodes.filter((node) => this.isRunning(node))
    for (const node of running) this.signal(node.id, 'SIGTERM')
    const killed: number[] = []
    for (const node of running) {
      if (await this.whenStopped(node.id, timeoutMs)) continue
      killed.push(node.id)
      this.signal(node.id, 'SIGKILL')
      await this.whenStopped(node.id, timeoutMs)
    }
    return killed
  }

  #deathOf(node: LocalNode): string {
    const lines = existsSync(node.logFile)
      ? readFileSync(node.logFile, 'utf8').trimEnd().split('\n').slice(-5)
      : []
    return `Node ${node.id} ended right after its start. The end of ${node.logFile}:\n${lines.join('\n')}`
  }

  #save(): void {
    const file = LocalCluster.fileOf(this.dataDir)
    const content: ClusterFile = { formatVersion: 1, nodes: [...this.nodes] }
    writeFileSync(`${file}.tmp`, `${JSON.stringify(content, null, 2)}\n`)
    renameSync(`${file}.tmp`, file)
  }
}

function isReady(port: number): Promise<boolean> {
  return new Promise((resolveReady) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', timeout: 1_000 }, (response) => {
      response.resume()
      resolveReady(response.statusCode === 200)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolveReady(false))
  })
}
