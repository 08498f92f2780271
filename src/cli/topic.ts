// vltava topic create | alter | list | describe | delete | delete-records
import type { Command } from 'commander'
import type { TopicDescription } from '../client/admin.ts'
import { whyOffline } from '../client/cluster-view.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { byteSize, columns, plural, seconds } from './output.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger, parsePair } from './text-options.ts'

const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 } as const

interface DeleteRecordsOptions extends BootstrapOptions {
  readonly partition: string
  readonly before: string
  readonly yes?: boolean
}

interface CreateOptions extends BootstrapOptions {
  readonly partitions: string
  readonly replicationFactor?: string
  readonly observers: string
  readonly config: readonly string[]
  readonly json?: boolean
}

export function addTopicCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const topic = program.command('topic').description('create, alter, list, describe and delete topics')
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  withBootstrap(topic.command('create <topic>'))
    .description('create a topic')
    .option('--partitions <count>', 'how many partitions', '1')
    .option(
      '--replication-factor <count>',
      'replicas of each partition (default: 3, or the number of brokers if less)',
    )
    .option('--observers <count>', 'asynchronous replicas of each partition, beside those', '0')
    .option('--config <name=value>', 'a setting of the topic; may be repeated', collect, [])
    .option('--json', 'print one JSON object')
    .action((name: string, options: CreateOptions) => run(() => create(name, options, terminal)))
  withBootstrap(topic.command('alter <topic>'))
    .description('give a topic more partitions; keys may go to other partitions from then on')
    .requiredOption('--partitions <count>', 'how many in all; never fewer than there are')
    .action((name: string, options: BootstrapOptions & { partitions: string }) =>
      run(() => alter(name, options, terminal)),
    )
  withBootstrap(topic.command('list'))
    .description('list the topics')
    .option('--json', 'print one JSON array')
    .action((options: BootstrapOptions & { json?: boolean }) => run(() => list(options, terminal)))
  withBootstrap(topic.command('describe <topic>'))
    .description('show partitions, leaders, in-sync replicas and offsets')
    .option('--json', 'print one JSON object')
    .action((name: string, options: BootstrapOptions & { json?: boolean }) =>
      run(() => describe(name, options, terminal)),
    )
  withBootstrap(topic.command('delete <topic>'))
    .description('delete a topic with all its records')
    .option('--yes', 'needed: the records cannot be brought back')
    .action((name: string, options: BootstrapOptions & { yes?: boolean }) =>
      run(() => remove(name, options, terminal)),
    )
  withBootstrap(topic.command('delete-records <topic>'))
    .description('delete the records of a partition below an offset')
    .requiredOption('--partition <number>', 'which partition')
    .requiredOption('--before <offset>', 'the first offset to keep, or "end" to delete all that is committed')
    .option('--yes', 'needed: the records cannot be brought back')
    .action((name: string, options: DeleteRecordsOptions) =>
      run(() => deleteRecords(name, options, terminal)),
    )
}

async function alter(
  name: string,
  options: BootstrapOptions & { readonly partitions: string },
  terminal: Terminal,
): Promise<number> {
  const partitions = parseInteger(options.partitions, { option: '--partitions', ...INT32 })
  await withClient(options, terminal, (client) => client.admin.createPartitions(name, partitions))
  say(terminal, `Topic ${name} has ${plural(partitions, 'partition')}.`)
  return EXIT.done
}

async function create(name: string, options: CreateOptions, terminal: Terminal): Promise<number> {
  const partitions = parseInteger(options.partitions, { option: '--partitions', ...INT32 })
  const replicationFactor =
    options.replicationFactor === undefined
      ? null
      : parseInteger(options.replicationFactor, { option: '--replication-factor', ...INT32 })
  const observers = parseInteger(options.observers, { option: '--observers', min: 0, max: INT32.max })
  const configs = Object.fromEntries(
    options.config.map((pair) => parsePair(pair, '--config')).map((pair) => [pair.name, pair.value]),
  )
  const created = await withClient(options, terminal, (client) =>
    client.admin.createTopic({
      name,
      partitions,
      observers,
      configs,
      ...(replicationFactor === null ? {} : { replicationFactor }),
    }),
  )
  if (options.json === true) {
    terminal.stdout.write(
      `${JSON.stringify({ name, id: created.topicId, partitions: created.partitions, replicationFactor: created.replicationFactor })}\n`,
    )
  } else {
    say(
      terminal,
      `Created ${name}: ${plural(created.partitions, 'partition')}, replication factor ${created.replicationFactor}.`,
    )
  }
  return EXIT.done
}

async function list(options: BootstrapOptions & { json?: boolean }, terminal: Terminal): Promise<number> {
  const topics = await withClient(options, terminal, (client) => client.admin.listTopics())
  const sorted = [...topics].sort((a, b) => (a.name < b.name ? -1 : 1))
  if (options.json === true) {
    terminal.stdout.write(
      `${JSON.stringify(sorted.map(({ name, id, partitions }) => ({ name, id, partitions: partitions.length })))}\n`,
    )
  } else {
    for (const { name } of sorted) terminal.stdout.write(`${name}\n`)
  }
  return EXIT.done
}

async function describe(
  name: string,
  options: BootstrapOptions & { json?: boolean },
  terminal: Terminal,
): Promise<number> {
  const topic = await withClient(options, terminal, (client) => client.admin.describeTopic(name))
  if (options.json === true) {
    const partitions = topic.partitions.map((partition) => ({
      partition: partition.partition,
      leader: partition.leader,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicas,
      isr: partition.isr,
      elr: partition.elr,
      lastKnownElr: partition.lastKnownElr,
      cutOff: partition.cutOff,
      observers: partition.observers,
      logStartOffset: partition.logStartOffset,
      highWatermark: partition.highWatermark,
      logEndOffset: partition.logEndOffset,
      replicaStates: partition.replicaStates,
    }))
    terminal.stdout.write(`${JSON.stringify({ name: topic.name, id: topic.id, partitions })}\n`)
    return EXIT.done
  }
  const hasObservers = topic.partitions.some(({ observers }) => observers.length > 0)
  const header = [
    'PARTITION',
    'LEADER',
    'EPOCH',
    'REPLICAS',
    'ISR',
    'ELR',
    'LOG-START',
    'HIGH-WATERMARK',
    'LOG-END',
    ...(hasObservers ? ['OBSERVERS'] : []),
  ]
  const shown = (value: number | null): string => (value === null ? '-' : String(value))
  const rows = topic.partitions.map((partition) => [
    String(partition.partition),
    shown(partition.leader),
    String(partition.leaderEpoch),
    partition.replicas.join(','),
    partition.isr.join(',') || '-',
    partition.elr.join(',') || '-',
    shown(partition.logStartOffset),
    shown(partition.highWatermark),
    shown(partition.logEndOffset),
    ...(hasObservers ? [partition.observers.join(',') || '-'] : []),
  ])
  terminal.stdout.write(`topic ${topic.name}, id ${topic.id}\n${columns([header, ...rows])}\n`)
  const lagging = lagRows(topic)
  if (lagging.length > 0) terminal.stdout.write(`\n${columns([LAG_HEADER, ...lagging])}\n`)
  for (const partition of topic.partitions) {
    if (partition.leader === null)
      terminal.stdout.write(`partition ${partition.partition}: ${whyOffline(partition)}\n`)
  }
  return EXIT.done
}

const LAG_HEADER = ['PARTITION', 'REPLICA', 'IN-SYNC', 'LOG-END', 'LAG', 'LAG-BYTES', 'LAG-TIME'] as const

/** The followers that lack something, or that nothing is known of: where nobody lags there is nothing to show. */
function lagRows({ partitions }: TopicDescription): readonly (readonly string[])[] {
  const shown = <T>(value: T | null, show: (value: T) => string = String): string =>
    value === null ? '-' : show(value)
  return partitions.flatMap(({ partition, replicaStates }) =>
    replicaStates
      .slice(1)
      .filter(({ lagRecords, isInSync }) => lagRecords !== 0 || !isInSync)
      .map(({ brokerId, isInSync, logEndOffset, lagRecords, lagBytes, lagMs }) => [
        String(partition),
        String(brokerId),
        isInSync ? 'yes' : 'no',
        shown(logEndOffset),
        shown(lagRecords),
        shown(lagBytes, byteSize),
        shown(lagMs, seconds),
      ]),
  )
}

async function remove(
  name: string,
  options: BootstrapOptions & { yes?: boolean },
  terminal: Terminal,
): Promise<number> {
  if (options.yes !== true) {
    throw new UsageError(
      `deleting ${JSON.stringify(name)} deletes all its records on every broker; add --yes if you mean it`,
    )
  }
  await withClient(options, terminal, (client) => client.admin.deleteTopic(name))
  say(terminal, `Deleted ${name}.`)
  return EXIT.done
}

async function deleteRecords(
  topic: string,
  options: DeleteRecordsOptions,
  terminal: Terminal,
): Promise<number> {
  const partition = parseInteger(options.partition, { option: '--partition', min: 0, max: INT32.max })
  const before =
    options.before === 'end'
      ? options.before
      : parseInteger(options.before, { option: '--before', min: 0, max: Number.MAX_SAFE_INTEGER })
  if (options.yes !== true) {
    throw new UsageError(
      `this deletes the records of partition ${partition} of ${JSON.stringify(topic)} below ` +
        `${before === 'end' ? 'its end' : `offset ${before}`} on every broker; add --yes if you mean it`,
    )
  }
  const { logStartOffset } = await withClient(options, terminal, (client) =>
    client.admin.deleteRecords({ topic, partition, before }),
  )
  say(terminal, `Partition ${partition} of ${topic} starts at offset ${logStartOffset} now.`)
  return EXIT.done
}
