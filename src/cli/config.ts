// vltava config describe | alter
import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import type { ConfigDescription } from '../client/config-calls.ts'
import { INT32_MAX } from '../model/id-schemas.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { columns } from './output.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseInteger, parsePair } from './text-options.ts'

/** Whose settings are meant: exactly one of them is to be given. */
interface OwnerOptions {
  readonly topic?: string
  readonly broker?: string
  readonly allBrokers?: boolean
}

interface DescribeOptions extends BootstrapOptions, OwnerOptions {
  readonly json?: boolean
}

interface AlterOptions extends BootstrapOptions, OwnerOptions {
  readonly set: readonly string[]
  readonly delete: readonly string[]
  readonly validateOnly?: boolean
  readonly json?: boolean
}

export function addConfigCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const config = program
    .command('config')
    .description('show and change settings of topics and brokers while they are in use')
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  const withOwner = (command: Command): Command =>
    withBootstrap(command)
      .option('--topic <topic>', 'of this topic')
      .option('--broker <id>', 'of this broker')
      .option('--all-brokers', 'of all brokers that have no value of their own')
  withOwner(config.command('describe'))
    .description('show every setting of a topic or a broker, and what set it')
    .option('--json', 'print one JSON array, with what is allowed and what each setting means')
    .action((options: DescribeOptions) => run(() => describe(options, terminal)))
  withOwner(config.command('alter'))
    .description('change settings of a topic or of brokers; those not named stay as they are')
    .option('--set <name=value>', 'a new value; may be repeated', collect, [])
    .option(
      '--delete <name>',
      'a setting that goes back to what counts without it; may be repeated',
      collect,
      [],
    )
    .option('--validate-only', 'only check the change')
    .option('--json', 'print one JSON object')
    .action((options: AlterOptions) => run(() => alter(options, terminal)))
}

export type ConfigOwner =
  | { readonly kind: 'topic'; readonly topic: string }
  /** null: all brokers. */
  | { readonly kind: 'broker'; readonly broker: number | null }

/** Whose settings the options mean. @throws UsageError unless it is exactly one. */
export function configOwnerOf({ topic, broker, allBrokers = false }: OwnerOptions): ConfigOwner {
  const given = [topic !== undefined, broker !== undefined, allBrokers].filter((is) => is)
  if (given.length !== 1) throw new UsageError('give one of --topic <topic>, --broker <id> or --all-brokers')
  if (topic !== undefined) return { kind: 'topic', topic }
  if (broker === undefined) return { kind: 'broker', broker: null }
  return { kind: 'broker', broker: parseInteger(broker, { option: '--broker', min: 0, max: INT32_MAX }) }
}

async function describe(options: DescribeOptions, terminal: Terminal): Promise<number> {
  const owner = configOwnerOf(options)
  const configs = await withClient(options, terminal, ({ admin }) =>
    owner.kind === 'topic' ? admin.describeConfigs(owner.topic) : admin.brokers.describeConfigs(owner.broker),
  )
  if (options.json === true) terminal.stdout.write(`${JSON.stringify(configs)}\n`)
  else terminal.stdout.write(`${columns(configRows(owner, configs))}\n`)
  return EXIT.done
}

/** The table that `describe` prints. Of a broker it also tells what can be changed without a restart. */
export function configRows(owner: ConfigOwner, configs: readonly ConfigDescription[]): string[][] {
  const isOfBroker = owner.kind === 'broker'
  const rows = configs.map(({ name, value, source, dynamic }) => [
    name,
    value === '' ? '-' : value,
    source,
    ...(isOfBroker ? [dynamic ? 'yes' : 'no'] : []),
  ])
  return [['NAME', 'VALUE', 'SET-BY', ...(isOfBroker ? ['DYNAMIC'] : [])], ...rows]
}

/** What the options ask for. @throws UsageError when they name nothing, or a setting twice. */
export function configChangeOf(options: Pick<AlterOptions, 'set' | 'delete'>): {
  readonly set: Readonly<Record<string, string>>
  readonly delete: readonly string[]
} {
  const pairs = options.set.map((pair) => parsePair(pair, '--set'))
  const names = [...pairs.map(({ name }) => name), ...options.delete]
  if (names.length === 0)
    throw new UsageError('give --set <name=value> or --delete <name>, or several of them')
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new UsageError(`${twice} is given twice; give it once`)
  return { set: Object.fromEntries(pairs.map(({ name, value }) => [name, value])), delete: options.delete }
}

async function alter(options: AlterOptions, terminal: Terminal): Promise<number> {
  const { validateOnly = false } = options
  const owner = configOwnerOf(options)
  const change = { ...configChangeOf(options), validateOnly }
  await withClient(options, terminal, ({ admin }) => alterOf(admin, owner, change))
  if (options.json === true) terminal.stdout.write(`${JSON.stringify({ ...owner, ...change })}\n`)
  else
    say(terminal, validateOnly ? 'The change would be taken.' : `Changed the settings of ${nameOf(owner)}.`)
  return EXIT.done
}

function alterOf(
  admin: Client['admin'],
  owner: ConfigOwner,
  change: ReturnType<typeof configChangeOf> & { readonly validateOnly: boolean },
): Promise<void> {
  if (owner.kind === 'topic') return admin.alterConfigs({ topic: owner.topic, ...change })
  return admin.brokers.alterConfigs({ broker: owner.broker, ...change })
}

function nameOf(owner: ConfigOwner): string {
  if (owner.kind === 'topic') return owner.topic
  return owner.broker === null ? 'all brokers' : `broker ${owner.broker}`
}
