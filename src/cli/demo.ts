// vltava demo: a cluster of three processes loses its leader in the middle of a stream, and no acknowledged record.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { createClient } from '../client/node.ts'
import { type DemoResult, runDemoStory } from './demo-story.ts'
import { freePorts } from './free-ports.ts'
import { LocalCluster } from './local-cluster.ts'
import { byteSize, count, plural, seconds } from './output.ts'
import { RecordSplitter } from './record-splitter.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'

const BROKERS = 3
const READY_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000
const RECORD_MAX_BYTES = 1 << 20

interface DemoOptions {
  readonly file?: string
  readonly json?: boolean
  readonly keep?: boolean
}

export function addDemoCommand(program: Command, terminal: Terminal, run: RunAction): void {
  program
    .command('demo')
    .description(
      'start three brokers, kill the leader with SIGKILL while records stream in, and count what is lost',
    )
    .option(
      '-f, --file <file>',
      'stream the lines of this file instead of the text that comes with the package',
    )
    .option('--json', 'print the result as one JSON object')
    .option('--keep', 'keep the data directory')
    .action((options: DemoOptions) => run(() => demo(options, terminal)))
}

function linesOf(file: string | undefined): readonly Uint8Array[] {
  const path = file ?? new URL('../../docs/demo-text.txt', import.meta.url)
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new UsageError(`--file: ${(error as Error).message}`)
  }
  const lines: Uint8Array[] = []
  const splitter = new RecordSplitter(new Uint8Array([10]), RECORD_MAX_BYTES)
  splitter.push(bytes, (line) => lines.push(line))
  const last = splitter.end()
  if (last !== null) lines.push(last)
  if (lines.length === 0) throw new UsageError(`--file: ${String(path)} is empty`)
  return lines
}

async function demo(options: DemoOptions, terminal: Terminal): Promise<number> {
  const lines = linesOf(options.file)
  const dataDir = mkdtempSync(join(tmpdir(), 'vltava-demo-'))
  const cluster = LocalCluster.create({ dataDir, brokers: BROKERS, ports: await freePorts(BROKERS) })
  const startMs = performance.now()
  const tell = (text: string): void =>
    say(terminal, `${((performance.now() - startMs) / 1_000).toFixed(2).padStart(6)} s  ${text}`)
  try {
    for (const node of cluster.nodes) cluster.start(node.id)
    await cluster.whenReady(READY_TIMEOUT_MS, terminal.interrupted)
    tell(`${plural(BROKERS, 'broker')} up, each a process of its own: ${cluster.bootstrap}`)
    const client = createClient({ bootstrap: cluster.bootstrap })
    try {
      const result = await runDemoStory({ client, cluster, lines, tell, signal: terminal.interrupted })
      report(result, { terminal, isJson: options.json === true })
      return result.lost === 0 && result.reordered === 0 ? EXIT.done : EXIT.failed
    } finally {
      await client.close()
    }
  } finally {
    await cluster.stop(STOP_TIMEOUT_MS)
    if (options.keep === true) say(terminal, `The data is in ${dataDir}`)
    else rmSync(dataDir, { recursive: true, force: true })
  }
}

function report(result: DemoResult, to: { readonly terminal: Terminal; readonly isJson: boolean }): void {
  if (to.isJson) {
    to.terminal.stdout.write(`${JSON.stringify(result)}\n`)
    return
  }
  const lines = [
    '',
    `acknowledged       ${count(result.acknowledged)} records, ${byteSize(result.bytes)} in ${seconds(result.streamMs)}`,
    `lost               ${count(result.lost)} acknowledged records that could not be read back${result.lost === 0 ? '' : '  <- a bug'}`,
    `duplicates         ${count(result.duplicates)} (retries of what the dead leader may have written)`,
    `out of order       ${count(result.reordered)}`,
    `not acknowledged   ${count(result.failed)}`,
    `leader             broker ${result.leaderBefore} was killed, broker ${result.leaderAfter} took over`,
    `longest gap        ${seconds(result.longestGapMs)} without an acknowledgement`,
    `killed broker      back in the in-sync set ${seconds(result.rejoinMs)} after its restart`,
    '',
  ]
  to.terminal.stdout.write(`${lines.join('\n')}\n`)
}
