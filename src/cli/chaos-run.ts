// One chaos run from the empty directory to the verdict.
import { closeSync, openSync, writeSync } from 'node:fs'
import { silentLog } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import { createClient } from '../client/node.ts'
import { checkHistory } from '../history/check-history.ts'
import type { HistoryEvent, HistoryKey } from '../history/history.ts'
import { HISTORY_HEADER, historyLine } from '../history/history-file.ts'
import { HistoryRecorder } from '../history/history-recorder.ts'
import { toVltavaError } from '../model/errors.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { ChaosCluster, pause } from './chaos-cluster.ts'
import { injectFaults } from './chaos-faults.ts'
import { scanLogs } from './chaos-logs.ts'
import type { ChaosOptions } from './chaos-options.ts'
import { whenEqual, whenInSync } from './chaos-replicas.ts'
import { drawSchedule, type FaultName } from './chaos-schedule.ts'
import type { ChaosStatistics } from './chaos-statistics.ts'
import { ALLOWED_CHECKS, type ChaosReport } from './chaos-verdict.ts'
import { ChaosWorkload } from './chaos-workload.ts'
import { seconds } from './output.ts'

const TOPIC = 'chaos'
const REPLICATION_FACTOR_MAX = 3
const READY_TIMEOUT_MS = 60_000
/** How long a cluster may take to be whole again once nothing is wrong any more; it takes seconds. */
const RECOVERY_TIMEOUT_MS = 60_000
const READ_ALL_TIMEOUT_MS = 120_000
const PROGRESS_POLL_MS = 50

export interface ChaosRunOptions {
  readonly options: ChaosOptions
  readonly seed: number
  readonly dataDir: string
  readonly historyFile: string
  /** Ends the run early: the nodes are stopped, the history stays. */
  readonly signal: AbortSignal
  /** Told what happens, as it happens. */
  readonly tell: (text: string) => void
  /** Lives on while the run goes on. */
  readonly statistics: ChaosStatistics
}

export async function runChaos(run: ChaosRunOptions): Promise<ChaosReport> {
  const { options, dataDir, historyFile } = run
  const { brokers, settings } = options
  const file = openSync(historyFile, 'w')
  try {
    writeSync(file, HISTORY_HEADER)
    const cluster = await ChaosCluster.create({ dataDir, brokers, settings })
    try {
      return await new ChaosRun(run, { cluster, file }).toTheEnd()
    } finally {
      await cluster.close()
    }
  } finally {
    closeSync(file)
  }
}

class ChaosRun {
  readonly #run: ChaosRunOptions
  readonly #cluster: ChaosCluster
  readonly #recorder: HistoryRecorder
  readonly #startMs = performance.now()
  readonly #problems: string[] = []
  #faults: ReadonlyMap<FaultName, number> = new Map()

  constructor(run: ChaosRunOptions, parts: { readonly cluster: ChaosCluster; readonly file: number }) {
    this.#run = run
    this.#cluster = parts.cluster
    this.#recorder = new HistoryRecorder({
      onEvent: (event: HistoryEvent) => {
        // At once, so that the history survives whatever becomes of this process.
        writeSync(parts.file, historyLine(event))
        run.statistics.add(event)
      },
    })
  }

  async toTheEnd(): Promise<ChaosReport> {
    const { signal, tell } = this.#run
    this.#cluster.startAll()
    await this.#cluster.whenReady(READY_TIMEOUT_MS, signal)
    tell(`${this.#cluster.nodes.length} nodes are up; clients reach them at ${this.#cluster.bootstrap}`)
    const client = createClient({ bootstrap: this.#cluster.bootstrap })
    try {
      const { brokers, partitions } = this.#run.options
      const replicationFactor = Math.min(REPLICATION_FACTOR_MAX, brokers)
      await client.admin.createTopic({ name: TOPIC, partitions, replicationFactor })
      await this.#workAmongFaults(client)
    } finally {
      await client.close()
    }
    this.#cluster.network.heal()
    await this.#cluster.stopAll()
    return this.#report()
  }

  async #workAmongFaults(client: Client): Promise<void> {
    const { options, seed, statistics, signal } = this.#run
    const workload = new ChaosWorkload({
      bootstrap: this.#cluster.bootstrap,
      topic: TOPIC,
      partitions: options.partitions,
      producers: options.producers,
      consumers: options.consumers,
      seed,
      recorder: this.#recorder,
      clock: createNodeEnvironment(silentLog).clock,
      nowMs: () => this.#nowMs(),
      signal,
    })
    statistics.startGap(this.#nowMs())
    try {
      await this.#inject()
      if (!signal.aborted) await this.#recover(client, workload)
    } finally {
      await workload.stopProducing()
      statistics.stopGap(this.#nowMs())
      await workload.stopConsuming()
      this.#problems.push(...workload.failures)
    }
    if (!signal.aborted) await this.#settle(client, workload)
  }

  async #inject(): Promise<void> {
    const { options, seed, signal, tell } = this.#run
    const nodes = this.#cluster.nodes.map(({ id }) => id)
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), options.durationMs)
    const untilOver = AbortSignal.any([signal, over.signal])
    this.#faults = await injectFaults({
      cluster: this.#cluster,
      schedule: drawSchedule({ ...options, seed, nodes }),
      signal: untilOver,
      onFault: tell,
    })
    await pause(options.durationMs, untilOver)
    clearTimeout(timer)
  }

  /** Ends all faults and waits until the cluster is whole and every partition takes records again. */
  async #recover(client: Client, workload: ChaosWorkload): Promise<void> {
    const { signal, tell } = this.#run
    const healedMs = this.#nowMs()
    this.#cluster.network.heal()
    this.#cluster.startAll()
    tell('the faults are over: everything is healed and started')
    await this.#attempt(() => this.#cluster.whenReady(RECOVERY_TIMEOUT_MS, signal))
    const missing = await whenInSync({ client, topic: TOPIC, timeoutMs: RECOVERY_TIMEOUT_MS, signal })
    const silent = await this.#whenAcknowledged(workload.keys)
    if (signal.aborted) return
    this.#problems.push(...missing, ...silent)
    if (missing.length === 0 && silent.length === 0) {
      tell(
        `all replicas are in sync and all partitions take records, ${seconds(this.#nowMs() - healedMs)} later`,
      )
    }
  }

  /** Waits until something that was sent from now on was acknowledged, key by key. @returns what stays silent. */
  async #whenAcknowledged(keys: readonly HistoryKey[]): Promise<readonly string[]> {
    const { statistics, signal } = this.#run
    const sinceMs = this.#nowMs()
    for (;;) {
      const silent = keys.filter((key) => (statistics.lastAcknowledgedMs(key) ?? 0) < sinceMs)
      if (silent.length === 0 || signal.aborted) return []
      if (this.#nowMs() > sinceMs + RECOVERY_TIMEOUT_MS) {
        return silent.map(
          (key) => `${key}: no send was acknowledged within ${seconds(RECOVERY_TIMEOUT_MS)} after the faults`,
        )
      }
      await pause(PROGRESS_POLL_MS, signal)
    }
  }

  /** Nobody sends any more: the replicas have to agree, and everything has to be read. */
  async #settle(client: Client, workload: ChaosWorkload): Promise<void> {
    const { signal, tell } = this.#run
    const { nodes } = this.#cluster
    const unequal = await whenEqual({ client, topic: TOPIC, timeoutMs: RECOVERY_TIMEOUT_MS, signal, nodes })
    if (signal.aborted) return
    this.#problems.push(...unequal)
    if (unequal.length === 0) tell('the replicas have the same bytes')
    for (const { behind } of await workload.readAll(READ_ALL_TIMEOUT_MS)) {
      for (const [key, { position, largestOffset }] of behind) {
        this.#problems.push(`${key}: read up to ${position}, but offset ${largestOffset} is known to exist`)
      }
    }
    if (!signal.aborted) tell('everything was read once more from the beginning')
  }

  #report(): ChaosReport {
    const { options, seed, dataDir, historyFile, signal, statistics } = this.#run
    for (const { node, lastLines } of this.#cluster.unexpectedEnds) {
      this.#problems.push(`node ${node} ended by itself; the end of its log:\n${lastLines.join('\n')}`)
    }
    for (const node of this.#cluster.hadToBeKilled) {
      this.#problems.push(`node ${node} did not stop in time after SIGTERM and was killed`)
    }
    for (const { node, line, text, repeated } of scanLogs(this.#cluster.nodes)) {
      const more = repeated === 0 ? '' : ` (and ${repeated} more)`
      this.#problems.push(`node ${node}, line ${line} of its log: ${text}${more}`)
    }
    return {
      seed,
      isInterrupted: signal.aborted,
      durationMs: options.durationMs,
      statistics,
      faults: Object.fromEntries(this.#faults),
      check: signal.aborted ? null : checkHistory(this.#recorder.events, { allowed: ALLOWED_CHECKS }),
      problems: this.#problems,
      historyFile,
      dataDir,
    }
  }

  #nowMs(): number {
    return performance.now() - this.#startMs
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (thrown) {
      if (!this.#run.signal.aborted) this.#problems.push(toVltavaError(thrown).message)
    }
  }
}
