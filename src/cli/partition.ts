// vltava partition elect | promote | demote | reassign
import type { Command } from 'commander'
import type { LeaderElection } from '../client/admin.ts'
import { INT32_MAX } from '../model/id-schemas.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { partitionNameOf } from './partition-name.ts'
import { addReassignCommand } from './reassign.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger } from './text-options.ts'

export const UNCLEAN_RISK =
  'an unclean election makes a replica the leader that may lack acknowledged records. Records that only the other replicas have ' +
  'are lost for good, also when these come back later. Start the brokers of the ISR and the ELR instead if you can ' +
  '(vltava topic describe shows them); if you cannot, add --yes'

interface RoleOptions extends BootstrapOptions {
  readonly broker: string
}

interface ElectOptions extends BootstrapOptions {
  readonly partition?: string
  readonly preferred?: boolean
  readonly to?: string
  readonly unclean?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

export function addPartitionCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const partition = program
    .command('partition')
    .description('choose the leaders of partitions and the roles of replicas, move replicas')
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
  withBootstrap(partition.command('promote <topic/partition>'))
    .description('make an observer a voter: it joins the in-sync replicas once it has caught up')
    .requiredOption('--broker <id>', 'which replica')
    .action((name: string, options: RoleOptions) =>
      run(() => changeRole({ name, role: 'voter' }, options, terminal)),
    )
  withBootstrap(partition.command('demote <topic/partition>'))
    .description('make a replica an observer: it gets records asynchronously and is not waited for')
    .requiredOption('--broker <id>', 'which replica')
    .action((name: string, options: RoleOptions) =>
      run(() => changeRole({ name, role: 'observer' }, options, terminal)),
    )
  addReassignCommand(partition, terminal, run)
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

async function changeRole(
  of: { readonly name: string; readonly role: 'voter' | 'observer' },
  options: RoleOptions,
  terminal: Terminal,
): Promise<number> {
  const { name, role } = of
  const which = partitionNameOf(name)
  const broker = parseInteger(options.broker, { option: '--broker', min: 0, max: INT32_MAX })
  await withClient(options, terminal, ({ admin }) =>
    role === 'voter' ? admin.promoteReplica({ ...which, broker }) : admin.demoteReplica({ ...which, broker }),
  )
  say(
    terminal,
    role === 'voter'
      ? `Broker ${broker} is a voter of ${name}; it joins the in-sync replicas once it has caught up.`
      : `Broker ${broker} is an observer of ${name}.`,
  )
  return EXIT.done
}
