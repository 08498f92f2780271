// vltava partition elect
import type { Command } from 'commander'
import type { LeaderElection } from '../client/admin.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger } from './text-options.ts'

const INT32_MAX = 2 ** 31 - 1

export const UNCLEAN_RISK =
  'an unclean election makes a replica the leader that may lack acknowledged records. Records that only the other replicas have ' +
  'are lost for good, also when these come back later. Start the brokers of the ISR and the ELR instead if you can ' +
  '(vltava topic describe shows them); if you cannot, add --yes'

interface ElectOptions extends BootstrapOptions {
  readonly partition?: string
  readonly preferred?: boolean
  readonly to?: string
  readonly unclean?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

export function addPartitionCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const partition = program.command('partition').description('choose the leaders of partitions')
  withBootstrap(partition.command('elect <topic>'))
    .description('elect another leader for the partitions of a topic')
    .option('--partition <number>', 'which partition (default: all)')
    .option('--preferred', 'the first replica of each partition')
    .option('--to <broker>', 'this replica, which must be in sync')
    .option(
      '--unclean',
      'for partitions without a leader: a replica that may lack acknowledged records; with --to: this one',
    )
    .option('--yes', 'needed with --unclean: records may be lost')
    .option('--json', 'print one JSON object')
    .action((name: string, options: ElectOptions) => run(() => elect(name, options, terminal)))
}

/** What the options ask for. @throws UsageError when they contradict each other, or --yes is missing. */
export function electionOf(options: ElectOptions): LeaderElection {
  const { preferred = false, unclean = false } = options
  const replica =
    options.to === undefined ? null : parseInteger(options.to, { option: '--to', min: 0, max: INT32_MAX })
  if (preferred ? unclean || replica !== null : !unclean && replica === null) {
    throw new UsageError(
      'give one of --preferred, --to <broker> or --unclean (with or without --to <broker>)',
    )
  }
  if (unclean && options.yes !== true) throw new UsageError(UNCLEAN_RISK)
  if (preferred) return { kind: 'preferred' }
  if (unclean) return { kind: 'unclean', replica }
  return { kind: 'replica', replica: replica! }
}

async function elect(topic: string, options: ElectOptions, terminal: Terminal): Promise<number> {
  const election = electionOf(options)
  const partitions =
    options.partition === undefined
      ? null
      : [parseInteger(options.partition, { option: '--partition', min: 0, max: INT32_MAX })]
  const results = await withClient(options, terminal, (client) =>
    client.admin.electLeaders({ topic, partitions, election }),
  )
  if (options.json === true) {
    const shown = results.map(({ error, ...result }) => ({ ...result, error: error?.message ?? null }))
    terminal.stdout.write(`${JSON.stringify({ topic, partitions: shown })}\n`)
  } else {
    for (const { partition, leader, error, unclean } of results) {
      if (error !== null) say(terminal, `Partition ${partition}: ${error.message}`)
      else
        say(
          terminal,
          `Partition ${partition}: broker ${leader} leads${unclean ? ', elected uncleanly' : ''}.`,
        )
    }
  }
  return results.some(({ error }) => error !== null) ? EXIT.failed : EXIT.done
}
