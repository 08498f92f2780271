// vltava chaos run: a cluster of real processes, clients that write and read, faults, and a verdict.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { silentLog } from '../base/log.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { type ChaosOptions, type GivenChaosOptions, parseChaosOptions } from './chaos-options.ts'
import { runChaos } from './chaos-run.ts'
import { FAULTS } from './chaos-schedule.ts'
import { ChaosStatistics } from './chaos-statistics.ts'
import { ALLOWED_CHECKS, exitCodeOf, isClean, reportAsJson, reportAsText } from './chaos-verdict.ts'
import { LocalCluster } from './local-cluster.ts'
import { columns, count, plural } from './output.ts'
import { ProgressLine } from './progress-line.ts'
import { type RunAction, say, type Terminal, UsageError } from './terminal.ts'

/** What a line that is announced has to cover of the progress line it is written over. */
const PROGRESS_WIDTH = 100

export function addChaosCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  program
    .command('chaos')
    .description('find out what faults do to a cluster')
    .command('run')
    .description(
      'start a cluster of real processes, write and read, inject faults, and check everything that was seen',
    )
    .option('--duration <time>', 'how long faults are injected, such as 500ms, 60s, 2m or 1h', '60s')
    .option('--faults <names>', 'which faults, with commas, or all', 'all')
    .option('--interval <time>', 'mean time between the starts of two faults', '3s')
    .option('--seed <number>', 'draws the schedule of the faults (default: a new one, which is printed)')
    .option('--brokers <count>', 'how many nodes, 1 to 9', '3')
    .option('--partitions <count>', 'how many partitions, 1 to 64', '4')
    .option('--producers <count>', 'how many producers, 1 to 64', '3')
    .option('--consumers <count>', 'how many consumers, 0 to 64', '2')
    .option('--set <name=value>', 'a setting of all nodes; may be repeated', collect, [])
    .option('--history <file>', 'where the history goes (default ./chaos-<seed>.jsonl); it is kept')
    .option('--data-dir <directory>', 'where the nodes live; it is kept (default: a temporary directory)')
    .option('--keep', 'keep the temporary directory also after a clean run')
    .option('--json', 'print the result as one JSON object')
    .addHelpText('after', () => `\n${helpText()}\n`)
    .action((options: GivenChaosOptions) => run(() => chaos(options, terminal)))
}

function helpText(): string {
  const faults = columns(Object.entries(FAULTS).map(([name, what]) => [`  ${name}`, what]))
  return `Faults:
${faults}

The exit code is 0 only if the run was clean: nothing acknowledged was lost, nothing was read that nobody wrote, order
and offsets were kept, all replicas came back with the same bytes, all partitions took records again, and no node
crashed or reported an error. Duplicates are counted but tolerated, because the producer is not idempotent yet.

The seed reproduces the schedule of the faults, not how it interleaves with the cluster.
"vltava verify --allow ${ALLOWED_CHECKS.join(',')} <file>" judges the history again.`
}

async function chaos(given: GivenChaosOptions, terminal: Terminal): Promise<number> {
  const options = parseChaosOptions(given)
  const seed = options.seed ?? createNodeEnvironment(silentLog).random.u32()
  if (given.dataDir !== undefined && LocalCluster.exists(given.dataDir)) {
    throw new UsageError(
      `--data-dir: there is a cluster in ${resolve(given.dataDir)} already; name another directory`,
    )
  }
  const historyFile = resolve(given.history ?? `chaos-${seed}.jsonl`)
  const dataDir =
    given.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'vltava-chaos-')) : resolve(given.dataDir)
  let isWanted = true
  try {
    const report = await observed({ options, seed, dataDir, historyFile, terminal })
    if (given.json === true) terminal.stdout.write(`${JSON.stringify(reportAsJson(report))}\n`)
    else terminal.stdout.write(reportAsText(report))
    isWanted =
      given.dataDir !== undefined || given.keep === true || !(isClean(report) || report.isInterrupted)
    return exitCodeOf(report)
  } finally {
    if (isWanted) say(terminal, `The data and the logs of the nodes are in ${dataDir}`)
    else rmSync(dataDir, { recursive: true, force: true })
    if (existsSync(historyFile)) {
      say(terminal, `The history is in ${historyFile}`)
      say(terminal, `Judge it again with: vltava verify --allow ${ALLOWED_CHECKS.join(',')} ${historyFile}`)
    }
  }
}

/** Runs it in sight of whoever sits at the terminal. */
async function observed(run: {
  readonly options: ChaosOptions
  readonly seed: number
  readonly dataDir: string
  readonly historyFile: string
  readonly terminal: Terminal
}): ReturnType<typeof runChaos> {
  const { options, seed, terminal } = run
  const statistics = new ChaosStatistics()
  const startMs = performance.now()
  const elapsed = (): string => `${((performance.now() - startMs) / 1_000).toFixed(2).padStart(6)} s`
  const tell = (text: string): void => {
    const line = `${elapsed()}  ${text}`
    say(terminal, terminal.isErrorTty ? `\r${line.padEnd(PROGRESS_WIDTH)}` : line)
  }
  tell(`seed ${seed}: ${options.faults.join(', ')}, ${plural(options.brokers, 'node')}`)
  const progress = new ProgressLine(terminal, () => {
    const { acknowledged, indefinite, failed, read } = statistics
    return `${elapsed()}  ${count(acknowledged)} acknowledged, ${count(indefinite)} indefinite, ${count(failed)} failed, ${count(read)} read`
  })
  try {
    return await runChaos({ ...run, signal: terminal.interrupted, tell, statistics })
  } finally {
    progress.end()
  }
}
