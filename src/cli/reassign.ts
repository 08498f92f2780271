// vltava partition reassign
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import type { OngoingReassignment, ReassignmentStarted, WantedReplicas } from '../client/reassign-calls.ts'
import { INT32_MAX } from '../model/id-schemas.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { limitMoves, type MoveLimit, moveLimitOf, unlimitMoves } from './move-limit.ts'
import { columns } from './output.ts'
import { partitionNameOf } from './partition-name.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger } from './text-options.ts'

interface ReassignOptions extends BootstrapOptions {
  readonly replicas?: string
  readonly file?: string
  readonly cancel?: boolean
  readonly list?: boolean
  readonly verify?: boolean
  readonly throttle?: string
  readonly json?: boolean
}

export function addReassignCommand(partition: Command, terminal: Terminal, run: RunAction): void {
  withBootstrap(partition.command('reassign [topic/partition]'))
    .description('move the replicas of partitions to other brokers, show how far that is, or cancel it')
    .option('--replicas <brokers>', 'the wanted replicas with commas, the preferred leader first')
    .option(
      '--file <plan.json>',
      'many at once: {"partitions":[{"topic":"orders","partition":0,"replicas":[1,2,3]}]}',
    )
    .option('--cancel', 'go back to the replicas of before')
    .option('--list', 'show what is under way')
    .option(
      '--throttle <bytes>',
      'bytes per second that each broker gives and takes at most for replicas that are added; --verify and --cancel take it away',
    )
    .option('--verify', 'show what is under way, and take the throttle away when nothing is')
    .option('--json', 'print one JSON object')
    .action((name: string | undefined, options: ReassignOptions) =>
      run(() => reassign(name, options, terminal)),
    )
}

async function reassign(
  name: string | undefined,
  options: ReassignOptions,
  terminal: Terminal,
): Promise<number> {
  const throttle = throttleOf(options)
  if (options.verify === true) return verify(options, terminal)
  if (options.list === true) return list(options, terminal)
  const text = options.file === undefined ? null : await planText(options.file)
  const wanted = wantedOf({ ...options, name }, text)
  const { results, limit } = await withClient(options, terminal, ({ admin }) =>
    start(admin, { wanted, throttle, isCancelled: options.cancel === true }),
  )
  if (options.json === true) {
    const partitions = results.map(({ error, ...of }) => ({ ...of, error: error?.message ?? null }))
    terminal.stdout.write(`${JSON.stringify({ partitions, throttle: limit })}\n`)
  } else {
    const done =
      options.cancel === true ? 'back to the replicas of before.' : 'the move is under way or done.'
    for (const { topic, partition, error } of results)
      say(terminal, error?.message ?? `${topic}/${partition}: ${done}`)
    sayLimit(limit, terminal)
  }
  return results.some(({ error }) => error !== null) ? EXIT.failed : EXIT.done
}

/** The moves, under the throttle from before their beginning. One that limits nothing is taken away. */
async function start(
  admin: Client['admin'],
  of: {
    readonly wanted: readonly WantedReplicas[]
    readonly throttle: number | null
    readonly isCancelled: boolean
  },
): Promise<{ readonly results: readonly ReassignmentStarted[]; readonly limit: MoveLimit }> {
  if (of.throttle !== null) await limitMoves(admin, of.throttle)
  const results = await admin.reassignPartitions(of.wanted)
  const isUseless = of.throttle !== null && results.every(({ error }) => error !== null)
  if (of.isCancelled || isUseless) return { results, limit: (await unlimitMoves(admin)).limit }
  return { results, limit: of.throttle === null ? 'none' : 'kept' }
}

/** Bytes per second; null without --throttle. @throws UsageError where there is no move for it. */
export function throttleOf(
  options: Pick<ReassignOptions, 'throttle' | 'list' | 'verify' | 'cancel'>,
): number | null {
  const { throttle, list: isList = false, verify: isVerify = false, cancel = false } = options
  if (isVerify && (isList || cancel))
    throw new UsageError('--verify shows what is under way; give it without --list and --cancel')
  if (throttle === undefined) return null
  if (isList || isVerify || cancel) throw new UsageError('--throttle goes with moves that begin')
  return moveLimitOf(throttle)
}

function sayLimit(limit: MoveLimit, terminal: Terminal): void {
  if (limit === 'removed') say(terminal, 'The throttle was taken away.')
  if (limit === 'kept')
    say(
      terminal,
      'The throttle stays: "vltava partition reassign --verify" takes it away when nothing moves.',
    )
}

async function planText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--file: ${path} cannot be read: ${(error as Error).message}`)
  }
}

/** What was given: `name` is `<topic>/<partition>`. */
interface Asked extends Pick<ReassignOptions, 'replicas' | 'cancel'> {
  readonly name?: string | undefined
}

/**
 * What the options ask for.
 * @param planText of --file; null without it.
 * @throws UsageError when they contradict each other, or the plan is not one.
 */
export function wantedOf(asked: Asked, planText: string | null): readonly WantedReplicas[] {
  const { name, replicas, cancel = false } = asked
  if (planText !== null) {
    if (name !== undefined || replicas !== undefined)
      throw new UsageError('--file stands for <topic>/<partition> and --replicas; give one or the other')
    return planOf(planText).map((wanted) => (cancel ? { ...wanted, replicas: null } : wanted))
  }
  if (name === undefined || (replicas === undefined) === !cancel) {
    throw new UsageError(
      'give <topic>/<partition> with --replicas or --cancel, or --file <plan.json>, or --list',
    )
  }
  return [{ ...partitionNameOf(name), replicas: replicas === undefined ? null : brokersOf(replicas) }]
}

function brokersOf(text: string): readonly number[] {
  return text
    .split(',')
    .map((id) => parseInteger(id.trim(), { option: '--replicas', min: 0, max: INT32_MAX }))
}

function planOf(text: string): readonly WantedReplicas[] {
  const isIndex = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= INT32_MAX
  let plan: unknown
  try {
    plan = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`--file: this is not JSON: ${(error as Error).message}`)
  }
  const partitions = (plan as { readonly partitions?: unknown } | null)?.partitions
  if (!Array.isArray(partitions) || partitions.length === 0)
    throw new UsageError('--file: the plan needs a list "partitions" with at least one entry')
  return partitions.map((entry: unknown, i): WantedReplicas => {
    const { topic, partition, replicas } = (entry ?? {}) as Record<string, unknown>
    if (
      typeof topic !== 'string' ||
      !isIndex(partition) ||
      !Array.isArray(replicas) ||
      !replicas.every(isIndex)
    )
      throw new UsageError(
        `--file: entry ${i} needs "topic" (text), "partition" (a number from 0) and "replicas" (a list of broker ids)`,
      )
    return { topic, partition: partition as number, replicas }
  })
}

async function verify(options: ReassignOptions, terminal: Terminal): Promise<number> {
  const { ongoing, limit } = await withClient(options, terminal, ({ admin }) => unlimitMoves(admin))
  if (options.json === true) terminal.stdout.write(`${JSON.stringify({ ongoing, throttle: limit })}\n`)
  else {
    show(ongoing, terminal)
    sayLimit(limit, terminal)
  }
  return EXIT.done
}

async function list(options: ReassignOptions, terminal: Terminal): Promise<number> {
  const ongoing = await withClient(options, terminal, (client) => client.admin.listReassignments())
  if (options.json === true) terminal.stdout.write(`${JSON.stringify(ongoing)}\n`)
  else show(ongoing, terminal)
  return EXIT.done
}

function show(ongoing: readonly OngoingReassignment[], terminal: Terminal): void {
  if (ongoing.length === 0) say(terminal, 'No replicas are being moved.')
  else terminal.stdout.write(`${columns([HEADER, ...ongoing.map(rowOf)])}\n`)
}

const HEADER: readonly string[] = ['TOPIC', 'PARTITION', 'LEADER', 'FROM', 'TO', 'ISR', 'WAITS-FOR']

/** A move is complete when all wanted replicas but observers are in sync, so what it waits for is its progress. */
export function rowOf(move: OngoingReassignment): string[] {
  const { topic, partition, leader, isr, original, target, observers } = move
  const missing = target.filter((brokerId) => !isr.includes(brokerId) && !observers.includes(brokerId))
  const shown = (brokers: readonly number[]): string => brokers.join(',') || '-'
  return [
    topic,
    String(partition),
    leader === null ? '-' : String(leader),
    ...[original, target, isr, missing].map(shown),
  ]
}
