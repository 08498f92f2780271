// Runs the real vltava command in processes of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../src/cli/free-ports.ts'
import { LocalCluster } from '../../src/cli/local-cluster.ts'

export const LAUNCHER = fileURLToPath(new URL('../../bin/vltava.cjs', import.meta.url))

export interface CommandResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunningCommand {
  readonly child: ChildProcessWithoutNullStreams
  readonly done: Promise<CommandResult>
  /** Resolves when the text has appeared on stderr; rejects when the command ends before. */
  whenSaid(text: string): Promise<void>
}

/** Starts a command; the environment of the tests does not leak into it. */
export function startCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCommand {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  const stdout: Buffer[] = []
  let stderr = ''
  const watchers = new Set<() => void>()
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
    for (const watch of watchers) watch()
  })
  child.stdin.on('error', () => {})
  const done = new Promise<CommandResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }))
  })
  const whenSaid = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const watch = (): void => {
        if (!stderr.includes(text)) return
        watchers.delete(watch)
        resolve()
      }
      watchers.add(watch)
      watch()
      done.then(
        () => reject(new Error(`the command ended without saying ${JSON.stringify(text)}: ${stderr}`)),
        reject,
      )
    })
  return { child, done, whenSaid }
}

/** Runs a command to its end, with the input on its stdin. */
export function runCommand(
  args: readonly string[],
  options: { readonly input?: Uint8Array | string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult> {
  const { child, done } = startCommand(args, options.env ?? {})
  child.stdin.end(options.input ?? '')
  return done
}

/** A directory that is removed when the test file is done; give it to `removeDirectory`. */
export function makeDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `vltava-test-${name}-`))
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

/** A local cluster on free ports, up and ready. */
export async function startCluster(
  name: string,
  options: { readonly brokers?: number; readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<LocalCluster> {
  const brokers = options.brokers ?? 3
  const cluster = LocalCluster.create({
    dataDir: makeDirectory(name),
    brokers,
    ports: await freePorts(brokers),
  })
  for (const node of cluster.nodes) cluster.start(node.id, options.settings)
  await cluster.whenReady(30_000)
  return cluster
}

export async function destroyCluster(cluster: LocalCluster): Promise<void> {
  await cluster.stop(10_000)
  removeDirectory(cluster.dataDir)
}

/** Real logs where the checkout has them beside it, and the text that ships with the package. */
export function inputFiles(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const shipped = fileURLToPath(new URL('../../docs/demo-text.txt', import.meta.url))
  const logs = fileURLToPath(new URL('../../../shared/data/loghub', import.meta.url))
  const files = existsSync(logs)
    ? readdirSync(logs)
        .filter((file) => file.endsWith('.log'))
        .map((file) => join(logs, file))
    : []
  return [shipped, ...files].map((path) => ({ name: path.split('/').at(-1)!, bytes: readFileSync(path) }))
}

/** The bytes `consume` must print for an input: the same, with the final delimiter that some files lack. */
export function withFinalDelimiter(bytes: Buffer): Buffer {
  return bytes.at(-1) === 10 ? bytes : Buffer.concat([bytes, Buffer.from('\n')])
}

export interface DescribedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: readonly {
    readonly partition: number
    readonly leader: number | null
    readonly leaderEpoch: number
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
    readonly logStartOffset: number | null
    readonly highWatermark: number | null
    readonly logEndOffset: number | null
  }[]
}

export async function describeTopic(bootstrap: string, topic: string): Promise<DescribedTopic> {
  const { code, stdout, stderr } = await runCommand(['topic', 'describe', topic, '--json', '-b', bootstrap])
  if (code !== 0) throw new Error(`topic describe ended with ${code}: ${stderr}`)
  return JSON.parse(stdout.toString()) as DescribedTopic
}

/** The concatenated segment files of one replica. */
export function logBytes(
  dataDir: string,
  partition: { readonly topicId: string; readonly partition: number },
): Buffer {
  const directory = join(dataDir, 'topics', partition.topicId, String(partition.partition))
  const segments = readdirSync(directory)
    .filter((file) => file.endsWith('.log'))
    .sort()
  return Buffer.concat(segments.map((file) => readFileSync(join(directory, file))))
}
