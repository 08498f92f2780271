// vltava config describe | alter
import type { Command } from 'commander'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { columns } from './output.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parsePair } from './text-options.ts'

interface DescribeOptions extends BootstrapOptions {
  readonly topic: string
  readonly json?: boolean
}

interface AlterOptions extends BootstrapOptions {
  readonly topic: string
  readonly set: readonly string[]
  readonly delete: readonly string[]
  readonly validateOnly?: boolean
}

export function addConfigCommands(program: Command, terminal: Terminal, run: RunAction): void {
  const config = program
    .command('config')
    .description('show and change settings of topics while they are in use')
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  withBootstrap(config.command('describe'))
    .description('show every setting of a topic')
    .requiredOption('--topic <topic>', 'which topic')
    .option('--json', 'print one JSON array, with what is allowed and what each setting means')
    .action((options: DescribeOptions) => run(() => describe(options, terminal)))
  withBootstrap(config.command('alter'))
    .description('change settings of a topic; those not named stay as they are')
    .requiredOption('--topic <topic>', 'which topic')
    .option('--set <name=value>', 'a new value; may be repeated', collect, [])
    .option('--delete <name>', 'a setting that goes back to its default; may be repeated', collect, [])
    .option('--validate-only', 'only check the change')
    .action((options: AlterOptions) => run(() => alter(options, terminal)))
}

async function describe({ topic, json, ...options }: DescribeOptions, terminal: Terminal): Promise<number> {
  const configs = await withClient(options, terminal, (client) => client.admin.describeConfigs(topic))
  if (json === true) terminal.stdout.write(`${JSON.stringify(configs)}\n`)
  else {
    const rows = configs.map(({ name, value, isDefault }) => [name, value, isDefault ? 'default' : 'topic'])
    terminal.stdout.write(`${columns([['NAME', 'VALUE', 'SET-BY'], ...rows])}\n`)
  }
  return EXIT.done
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
  const { topic, validateOnly = false } = options
  const change = configChangeOf(options)
  await withClient(options, terminal, (client) =>
    client.admin.alterConfigs({ topic, ...change, validateOnly }),
  )
  say(terminal, validateOnly ? 'The change would be taken.' : `Changed the settings of ${topic}.`)
  return EXIT.done
}
