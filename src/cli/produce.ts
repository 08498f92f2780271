// vltava produce: one record per line from standard input or a file.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import type { Producer } from '../client/producer.ts'
import { toVltavaError, type VltavaError } from '../model/errors.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { byteSize, count, plural, seconds } from './output.ts'
import { ProgressLine } from './progress-line.ts'
import { RecordSplitter, splitKey } from './record-splitter.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'
import { parseDelimiter, parseInteger } from './text-options.ts'

/** Failed records that are named one by one; the rest is counted. */
const NAMED_FAILURES_MAX = 10
const CLOSE_TIMEOUT_MS = 2_000

interface ProduceOptions extends BootstrapOptions {
  readonly file?: string
  readonly acks: string
  readonly keySeparator?: string
  readonly delimiter: string
  readonly partition?: string
  readonly deliveryTimeout?: string
  readonly json?: boolean
}

export function addProduceCommand(program: Command, terminal: Terminal, run: RunAction): void {
  withBootstrap(program.command('produce <topic>'))
    .description('send records, one per line, from standard input or a file; bytes are kept exactly')
    .option('-f, --file <file>', 'read this file instead of standard input')
    .option(
      '--acks <level>',
      'all: on disk on every in-sync replica; 1: written by the leader; 0: do not ask',
      'all',
    )
    .option('-K, --key-separator <text>', 'what stands between key and value; a line without it has no key')
    .option('--delimiter <text>', 'what stands between records; \\n \\t \\r \\0 \\xHH are understood', '\\n')
    .option('-p, --partition <index>', 'send all records to this partition')
    .option('--delivery-timeout <ms>', 'how long a record may take in all, in milliseconds (default 120000)')
    .option('--json', 'print the summary as one JSON object on standard output')
    .action((topic: string, options: ProduceOptions) => run(() => produce(topic, options, terminal)))
}

interface Parsed {
  readonly topic: string
  readonly acks: 'all' | 1 | 0
  readonly delimiter: Uint8Array
  readonly keySeparator: Uint8Array | null
  readonly partition: number | undefined
  readonly deliveryTimeoutMs: number | undefined
}

function parse(topic: string, options: ProduceOptions): Parsed {
  if (!['all', '-1', '1', '0'].includes(options.acks))
    throw new UsageError(`--acks: must be all, 1 or 0, got ${JSON.stringify(options.acks)}`)
  const { partition, deliveryTimeout } = options
  return {
    topic,
    acks: options.acks === '1' ? 1 : options.acks === '0' ? 0 : 'all',
    delimiter: parseDelimiter(options.delimiter, '--delimiter'),
    keySeparator:
      options.keySeparator === undefined ? null : parseDelimiter(options.keySeparator, '--key-separator'),
    partition:
      partition === undefined
        ? undefined
        : parseInteger(partition, { option: '--partition', min: 0, max: 2 ** 31 - 1 }),
    deliveryTimeoutMs:
      deliveryTimeout === undefined
        ? undefined
        : parseInteger(deliveryTimeout, { option: '--delivery-timeout', min: 100, max: 86_400_000 }),
  }
}

async function produce(topic: string, options: ProduceOptions, terminal: Terminal): Promise<number> {
  const parsed = parse(topic, options)
  if (options.file !== undefined) await checkReadable(options.file)
  return withClient(options, terminal, async (client) => {
    // Asked first, so that a wrong name or address is one clear error and not one for every line.
    const described = await client.admin.describeTopic(topic)
    if (parsed.partition !== undefined && parsed.partition >= described.partitions.length) {
      throw new UsageError(
        `--partition: topic ${topic} has partitions 0 to ${described.partitions.length - 1}, got ${parsed.partition}`,
      )
    }
    const sending = new Sending({
      parsed,
      terminal,
      producer: producerOf(client, parsed),
      isJson: options.json === true,
    })
    return sending.run(
      options.file === undefined
        ? terminal.stdin
        : createReadStream(options.file, { highWaterMark: 1 << 18 }),
    )
  })
}

function producerOf(client: Client, { acks, deliveryTimeoutMs }: Parsed): Producer {
  return client.producer({ acks, ...(deliveryTimeoutMs === undefined ? {} : { deliveryTimeoutMs }) })
}

async function checkReadable(file: string): Promise<void> {
  try {
    if ((await stat(file)).isDirectory()) throw new UsageError(`--file: ${file} is a directory`)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`--file: ${(error as Error).message}`)
  }
}

/** One run of the command: reads, sends, counts, reports. */
class Sending {
  readonly #parsed: Parsed
  readonly #terminal: Terminal
  readonly #producer: Producer
  readonly #isJson: boolean
  readonly #startMs = performance.now()
  readonly #failures: { readonly line: number; readonly error: VltavaError }[] = []
  #lines = 0
  #acknowledged = 0
  #acknowledgedBytes = 0
  #failed = 0
  #unknown = 0

  constructor(options: { parsed: Parsed; terminal: Terminal; producer: Producer; isJson: boolean }) {
    this.#parsed = options.parsed
    this.#terminal = options.terminal
    this.#producer = options.producer
    this.#isJson = options.isJson
  }

  async run(input: Readable): Promise<number> {
    const progress = new ProgressLine(this.#terminal, () => this.#progressText())
    let inputError: unknown = null
    try {
      await this.#sendAll(input)
    } catch (error) {
      inputError = error
    }
    const isInterrupted = this.#terminal.interrupted.aborted
    if (isInterrupted) await this.#producer.close({ timeoutMs: CLOSE_TIMEOUT_MS })
    else await this.#producer.flush()
    progress.end()
    this.#report()
    if (inputError !== null && !isInterrupted) throw inputError
    if (isInterrupted) return EXIT.interrupted
    return this.#failed > 0 ? EXIT.failed : EXIT.done
  }

  async #sendAll(input: Readable): Promise<void> {
    const { delimiter } = this.#parsed
    const splitter = new RecordSplitter(delimiter, BATCH_ABSOLUTE_MAX_BYTES)
    const { interrupted } = this.#terminal
    const records: Uint8Array[] = []
    // A read of standard input may never end by itself.
    interrupted.addEventListener('abort', () => input.destroy(), { once: true })
    for await (const chunk of input) {
      splitter.push(chunk as Uint8Array, (record) => records.push(record))
      for (const record of records) await this.#send(record)
      records.length = 0
      if (interrupted.aborted) return
    }
    const last = splitter.end()
    if (last !== null && !interrupted.aborted) await this.#send(last)
  }

  async #send(record: Uint8Array): Promise<void> {
    const { topic, keySeparator, partition } = this.#parsed
    const split = keySeparator === null ? null : splitKey(record, keySeparator)
    const line = ++this.#lines
    const message = { topic, key: split?.key ?? null, value: split?.value ?? record, partition }
    const settled = (error: VltavaError | null): void => this.#settled(error, { line, bytes: record.length })
    try {
      while (!this.#producer.enqueue(message, settled)) {
        if (this.#terminal.interrupted.aborted) return
        await this.#producer.writable()
      }
    } catch (thrown) {
      this.#settled(toVltavaError(thrown), { line, bytes: record.length })
    }
  }

  #settled(error: VltavaError | null, { line, bytes }: { line: number; bytes: number }): void {
    if (error === null) {
      this.#acknowledged++
      this.#acknowledgedBytes += bytes
      return
    }
    this.#failed++
    if (!error.definite) this.#unknown++
    if (this.#failures.length < NAMED_FAILURES_MAX) this.#failures.push({ line, error })
  }

  #progressText(): string {
    const elapsedMs = Math.max(1, performance.now() - this.#startMs)
    return `${count(this.#acknowledged)} acknowledged, ${count((this.#acknowledged * 1_000) / elapsedMs)} records/s`
  }

  #report(): void {
    const elapsedMs = Math.max(1, performance.now() - this.#startMs)
    for (const { line, error } of this.#failures) say(this.#terminal, `line ${line}: ${error.message}`)
    if (this.#failed > this.#failures.length)
      say(this.#terminal, `... and ${plural(this.#failed - this.#failures.length, 'more failed record')}`)
    const rate = (this.#acknowledged * 1_000) / elapsedMs
    const word = this.#parsed.acks === 0 ? 'sent' : 'acknowledged'
    const failed =
      this.#failed === 0
        ? ''
        : `; ${count(this.#failed)} failed, of which ${count(this.#unknown)} may still appear`
    say(
      this.#terminal,
      `${plural(this.#acknowledged, 'record')} ${word}, ${byteSize(this.#acknowledgedBytes)} in ${seconds(elapsedMs)} (${count(rate)} records/s)${failed}`,
    )
    if (this.#isJson) {
      const summary = {
        records: this.#acknowledged,
        bytes: this.#acknowledgedBytes,
        seconds: elapsedMs / 1_000,
        recordsPerSecond: rate,
      }
      this.#terminal.stdout.write(
        `${JSON.stringify({ ...summary, failed: this.#failed, failedUnknown: this.#unknown })}\n`,
      )
    }
  }
}
