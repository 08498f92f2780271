// vltava consume: values to standard output, from anywhere in a topic.
import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import type { Consumer } from '../client/consumer.ts'
import type { ReadFrom } from '../client/read-source.ts'
import type { ConsumerRecord } from '../client/records.ts'
import type { StartPosition as ClientPosition } from '../client/start-position.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { ConsumeLimit } from './consume-limit.ts'
import { recordToJson } from './record-json.ts'
import { EXIT, type RunAction, type Terminal, write } from './terminal.ts'
import { parseDelimiter, parseFrom, parseInteger, parseReadFrom, type StartPosition } from './text-options.ts'

interface ConsumeOptions extends BootstrapOptions {
  readonly from?: string
  readonly partition?: string
  readonly readFrom: string
  readonly exitAtEnd?: boolean
  readonly maxRecords?: string
  readonly delimiter: string
  readonly keySeparator?: string
  readonly json?: boolean
}

export function addConsumeCommand(program: Command, terminal: Terminal, run: RunAction): void {
  withBootstrap(program.command('consume <topic>'))
    .description('read records; values go to standard output, each followed by the delimiter')
    .option(
      '-o, --from <position>',
      'beginning, end, an offset, -N (the last N of each partition), @TIME (ISO or ms)',
      'beginning',
    )
    .option('-p, --partition <index>', 'read only this partition')
    .option(
      '--read-from <replica>',
      'leader, any (another replica in sync, or an observer), or a broker id',
      'leader',
    )
    .option('-e, --exit-at-end', 'stop at the end as it is when the command starts')
    .option('-c, --max-records <count>', 'stop after this many records')
    .option(
      '--delimiter <text>',
      'what to write behind each record; \\n \\t \\r \\0 \\xHH are understood',
      '\\n',
    )
    .option('-K, --key-separator <text>', 'write the key and this before the value')
    .option('--json', 'print one JSON object per record')
    .action((topic: string, options: ConsumeOptions) => run(() => consume(topic, options, terminal)))
}

interface Parsed {
  readonly topic: string
  readonly from: ClientPosition
  readonly partition: number | null
  readonly readFrom: ReadFrom
  readonly exitAtEnd: boolean
  readonly maxRecords: number
  readonly delimiter: Uint8Array
  readonly keySeparator: Uint8Array | null
  readonly json: boolean
}

function positionOf(from: StartPosition): ClientPosition {
  return typeof from === 'object' && 'offset' in from ? from.offset : from
}

function parse(topic: string, options: ConsumeOptions): Parsed {
  const { partition, maxRecords, keySeparator } = options
  return {
    topic,
    from: positionOf(parseFrom(options.from ?? 'beginning')),
    partition:
      partition === undefined
        ? null
        : parseInteger(partition, { option: '--partition', min: 0, max: 2 ** 31 - 1 }),
    readFrom: parseReadFrom(options.readFrom),
    exitAtEnd: options.exitAtEnd === true,
    maxRecords:
      maxRecords === undefined
        ? Number.POSITIVE_INFINITY
        : parseInteger(maxRecords, { option: '--max-records', min: 1, max: Number.MAX_SAFE_INTEGER }),
    delimiter: parseDelimiter(options.delimiter, '--delimiter'),
    keySeparator: keySeparator === undefined ? null : parseDelimiter(keySeparator, '--key-separator'),
    json: options.json === true,
  }
}

async function consume(topic: string, options: ConsumeOptions, terminal: Terminal): Promise<number> {
  const parsed = parse(topic, options)
  return withClient(options, terminal, async (client) => {
    const consumer = openConsumer(client, parsed, terminal)
    try {
      await readAll(consumer, parsed, terminal)
    } finally {
      await consumer.close()
    }
    if (terminal.isOutputClosed()) return EXIT.done
    return terminal.interrupted.aborted ? EXIT.interrupted : EXIT.done
  })
}

function openConsumer(client: Client, parsed: Parsed, terminal: Terminal): Consumer {
  return client.consumer({
    topic: parsed.topic,
    from: parsed.from,
    readFrom: parsed.readFrom,
    signal: terminal.interrupted,
    onProblem: ({ partition, error, forMs }) => {
      terminal.stderr.write(
        `partition ${partition}: not readable for ${Math.round(forMs / 1_000)} s: ${error.message}\n`,
      )
    },
    ...(parsed.partition === null ? {} : { partitions: [parsed.partition] }),
  })
}

async function readAll(consumer: Consumer, parsed: Parsed, terminal: Terminal): Promise<void> {
  // The end is fixed here: records that come later do not count, or a busy topic would never end.
  const ends = parsed.exitAtEnd ? await consumer.endOffsets() : null
  const positions = ends === null ? new Map<number, number>() : await consumer.positions()
  const limit = new ConsumeLimit({ ends, positions, maxRecords: parsed.maxRecords })
  if (limit.isReached) return
  for await (const batch of consumer.batches()) {
    await write(terminal.stdout, render(limit.take(batch), parsed))
    if (limit.isReached || terminal.isOutputClosed()) return
  }
}

function render(records: readonly ConsumerRecord[], parsed: Parsed): Uint8Array {
  if (parsed.json)
    return Buffer.from(records.map((record) => `${JSON.stringify(recordToJson(record))}\n`).join(''))
  const parts: Uint8Array[] = []
  for (const { key, value } of records) {
    if (parsed.keySeparator !== null) {
      if (key !== null) parts.push(key)
      parts.push(parsed.keySeparator)
    }
    if (value !== null) parts.push(value)
    parts.push(parsed.delimiter)
  }
  return Buffer.concat(parts)
}
