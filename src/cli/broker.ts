// vltava broker list | drain | cordon | uncordon | unregister
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import type { BrokerListing, Drained } from '../client/broker-admin.ts'
import type { Client } from '../client/client.ts'
import { INT32_MAX } from '../model/id-schemas.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { columns, plural } from './output.ts'
import { ProgressLine } from './progress-line.ts'
import { EXIT, type RunAction, say, type Terminal } from './terminal.ts'
import { parseInteger } from './text-options.ts'

/** A person waits: shorter than what suits a program. */
const WAIT_MS = 15_000
const MOVES_MAX = 10_000
/** Between two looks at how far the moves are. */
const LOOK_EVERY_MS = 500

interface ListOptions extends BootstrapOptions {
  readonly json?: boolean
}

type Change = 'cordon' | 'uncordon' | 'unregister'

interface DrainOptions extends BootstrapOptions {
  readonly atOnce: string
  readonly dryRun?: boolean
}

export function addBrokerCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const broker = program.command('broker').description('see the brokers, and take one away')
  withBootstrap(broker.command('list'))
    .description('the brokers, and how much each of them does')
    .option('--json', 'print one JSON object')
    .action((options: ListOptions) => run(() => list(options, terminal)))
  withBootstrap(broker.command('drain <broker>'))
    .description(
      'move all replicas of a broker to others, so that it can be taken away, and keep new ones from it; waits until none is left',
    )
    .option('--at-once <count>', 'how many replicas may move at the same time', '10')
    .option('--dry-run', 'only show what would move')
    .action((id: string, options: DrainOptions) => run(() => drain(id, options, terminal)))
  const change = (kind: Change, description: string): void => {
    withBootstrap(broker.command(`${kind} <broker>`))
      .description(description)
      .action((id: string, options: BootstrapOptions) =>
        run(() => changeBroker(kind, { id, options }, terminal)),
      )
  }
  change('cordon', 'keep new replicas from a broker; what it hosts stays')
  change('uncordon', 'let a broker have new replicas again, also after a drain')
  change('unregister', 'take a broker that is drained and has stopped out of the cluster')
}

async function list(options: ListOptions, terminal: Terminal): Promise<number> {
  const brokers = await withClient(options, terminal, ({ admin }) => admin.brokers.list())
  terminal.stdout.write(
    options.json === true ? `${JSON.stringify(brokers)}\n` : `${columns(brokerTable(brokers))}\n`,
  )
  return EXIT.done
}

/** The header and a row for each broker; with their racks where any has one. */
export function brokerTable(brokers: readonly BrokerListing[]): readonly (readonly string[])[] {
  const hasRacks = brokers.some(({ rack }) => rack !== null)
  const header = ['BROKER', 'STATE', ...(hasRacks ? ['RACK'] : []), 'REPLICAS', 'LEADS', 'ADDRESS']
  const rows = brokers.map(({ id, url, isFenced, isController, isCordoned, rack, replicas, leaders }) => {
    const state = [
      isFenced ? 'fenced' : isController ? 'alive, controller' : 'alive',
      ...(isCordoned ? ['cordoned'] : []),
    ].join(', ')
    const shownRack = hasRacks ? [rack ?? '-'] : []
    return [String(id), state, ...shownRack, String(replicas), String(leaders), url]
  })
  return [header, ...rows]
}

async function changeBroker(
  kind: Change,
  { id, options }: { readonly id: string; readonly options: BootstrapOptions },
  terminal: Terminal,
): Promise<number> {
  const broker = brokerOf(id)
  await withClient(options, terminal, ({ admin }) => admin.brokers[kind]({ broker, timeoutMs: WAIT_MS }))
  say(terminal, CHANGED[kind](broker))
  return EXIT.done
}

const CHANGED: Readonly<Record<Change, (broker: number) => string>> = {
  cordon: (broker) => `Broker ${broker} is cordoned: it keeps its replicas and gets no new ones.`,
  uncordon: (broker) => `Broker ${broker} may have new replicas.`,
  unregister: (broker) =>
    `Broker ${broker} is no part of the cluster any more. Started again, it would come back as a new one.`,
}

function brokerOf(id: string): number {
  return parseInteger(id, { option: '<broker>', min: 0, max: INT32_MAX })
}

async function drain(id: string, options: DrainOptions, terminal: Terminal): Promise<number> {
  const broker = brokerOf(id)
  const movesMax = parseInteger(options.atOnce, { option: '--at-once', min: 1, max: MOVES_MAX })
  return withClient(options, terminal, async (client) => {
    if (options.dryRun !== true) return drainAll(client, { broker, movesMax }, terminal)
    const plan = await client.admin.brokers.drain({ broker, movesMax: 0 })
    for (const { topic, partition, replicas } of plan.moves)
      terminal.stdout.write(`${topic}/${partition} to ${replicas!.join(',')}\n`)
    tellStuck(plan, terminal)
    say(terminal, `${plural(plan.moves.length, 'replica')} would move, ${plan.underWay} are moving already.`)
    return plan.stuck.length > 0 ? EXIT.failed : EXIT.done
  })
}

/** Begins moves, and looks how far they are, until nothing is left or nothing goes on. */
async function drainAll(
  client: Client,
  wanted: { readonly broker: number; readonly movesMax: number },
  terminal: Terminal,
): Promise<number> {
  const { broker } = wanted
  let left = 0
  const progress = new ProgressLine(terminal, () => `${plural(left, 'replica')} left on broker ${broker}`)
  try {
    while (!terminal.interrupted.aborted) {
      const drained = await client.admin.brokers.drain(wanted)
      left = drained.moves.length + drained.underWay + drained.stuck.length
      const end = endOf(drained)
      if (end !== null) {
        progress.end()
        return tellEnd(end, { broker, drained }, terminal)
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: terminal.interrupted }).catch(() => {})
    }
  } finally {
    progress.end()
  }
  say(
    terminal,
    `${plural(left, 'replica')} left on broker ${broker}; what has begun goes on. Run it again to go on.`,
  )
  return EXIT.interrupted
}

/** How it ends; null while there is something to wait for. */
export function endOf({ moves, underWay, stuck, results }: Drained): 'drained' | 'stuck' | 'refused' | null {
  const isRefused = results.length > 0 && results.every(({ error }) => error !== null)
  if (underWay > 0) return null
  if (moves.length > 0) return isRefused ? 'refused' : null
  return stuck.length > 0 ? 'stuck' : 'drained'
}

function tellEnd(
  end: 'drained' | 'stuck' | 'refused',
  { broker, drained }: { readonly broker: number; readonly drained: Drained },
  terminal: Terminal,
): number {
  if (end === 'drained') {
    say(
      terminal,
      `Broker ${broker} hosts no replicas, and gets no new ones. To take it away, remove its vote if it votes in the quorum, stop it, ` +
        `and run "vltava broker unregister ${broker}"; to keep it, run "vltava broker uncordon ${broker}".`,
    )
    return EXIT.done
  }
  for (const { error } of drained.results) if (error !== null) say(terminal, error.message)
  tellStuck(drained, terminal)
  say(
    terminal,
    `Broker ${broker} still hosts ${plural(drained.moves.length + drained.stuck.length, 'replica')}, and gets no new ones until ` +
      `"vltava broker uncordon ${broker}".`,
  )
  return EXIT.failed
}

function tellStuck({ stuck }: Pick<Drained, 'stuck'>, terminal: Terminal): void {
  for (const { topic, partition, reason } of stuck) say(terminal, `${topic}/${partition} stays: ${reason}.`)
}
