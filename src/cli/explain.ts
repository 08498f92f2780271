// vltava explain <topic>/<partition>
import type { Command } from 'commander'
import { silentLog } from '../base/log.ts'
import type { TopicListing } from '../client/admin.ts'
import type { Client } from '../client/client.ts'
import type { MetadataRecord } from '../metadata/metadata-records.ts'
import { type PartitionBefore, PartitionStory, type StoryEvent } from '../metadata/partition-story.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, TopicId, TopicPartition } from '../model/ids.ts'
import { decodeMetadataBatch } from '../server/metadata-batch.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { type BootstrapOptions, withBootstrap, withClient } from './client-options.ts'
import { partitionNameOf } from './partition-name.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError } from './terminal.ts'

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

interface ExplainOptions extends BootstrapOptions {
  readonly since?: string
  readonly json?: boolean
}

export function addExplainCommand(program: Command, terminal: Terminal, run: RunAction): void {
  withBootstrap(program.command('explain <topic/partition>'))
    .description(
      'tell why a partition is led and replicated as it is: every change, with who saw what and when',
    )
    .option(
      '--since <time>',
      'only what was seen since then: a duration such as 90s, 15m, 2h or 3d, or an ISO time',
    )
    .option('--json', 'print the metadata records, one JSON object on each line')
    .action((name: string, options: ExplainOptions) => run(() => explain(name, options, terminal)))
}

/** Milliseconds since 1970. @param nowMs on the same clock. @throws UsageError */
export function parseSince(text: string, nowMs: number): number {
  const duration = /^(\d{1,9})(s|m|h|d)$/.exec(text)
  if (duration !== null) return nowMs - Number(duration[1]) * UNITS_MS[duration[2]!]!
  const timeMs = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isSafeInteger(timeMs)) return timeMs
  throw new UsageError(
    `--since: must be a duration (90s, 15m, 2h, 3d) or an ISO time (2026-11-28T09:30:00Z), got ${JSON.stringify(text)}`,
  )
}

async function explain(name: string, options: ExplainOptions, terminal: Terminal): Promise<number> {
  const { topic, partition } = partitionNameOf(name)
  const sinceMs =
    options.since === undefined
      ? null
      : parseSince(options.since, createNodeEnvironment(silentLog).clock.wallMs())
  const { story, startOffset } = await withClient(options, terminal, (client) =>
    tellStory(client, topic, partition),
  )
  const events = story.events.filter(
    ({ observedAtMs }) => sinceMs === null || (observedAtMs !== null && observedAtMs >= sinceMs),
  )
  if (options.json === true) {
    for (const { metadataOffset, record } of events)
      terminal.stdout.write(`${JSON.stringify({ metadataOffset, ...record })}\n`)
    return EXIT.done
  }
  if (startOffset > 1)
    say(
      terminal,
      `The story begins at metadata offset ${startOffset}: what was before is in a snapshot, and its causes are gone.`,
    )
  if (events.length === 0)
    say(terminal, sinceMs === null ? 'Nothing is told of it.' : 'Nothing happened since then.')
  for (const event of events) terminal.stdout.write(`${lineOf(event)}\n`)
  return EXIT.done
}

/** "2026-11-28T04:10:11.123Z  #17  Broker 2 leads ...  (seen by node 1: no heartbeat ...)". */
export function lineOf({ observedAtMs, metadataOffset, what, why, observerId }: StoryEvent): string {
  const time = observedAtMs === null ? '-'.padEnd(24) : new Date(observedAtMs).toISOString()
  const seen = observerId === null ? '' : `  (node ${observerId}: ${why === '' ? 'no more is known' : why})`
  return `${time}  #${metadataOffset}  ${what}${seen}`
}

interface Told {
  readonly story: PartitionStory
  /** The first metadata offset that can still be read. */
  readonly startOffset: MetadataOffset
}

/** @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION where neither the cluster nor its log knows the partition. */
export async function tellStory(client: Client, topic: string, partition: number): Promise<Told> {
  const { startOffset, batches } = await readAll(client)
  const present = await presentTopic(client, topic)
  const topicId = present?.id ?? lastIdOf(topic, batches)
  const replicas = present?.partitions[partition]?.replicas
  if (topicId === null || (present !== null && replicas === undefined))
    throw new VltavaError(
      'UNKNOWN_TOPIC_OR_PARTITION',
      present === null
        ? `There is no topic ${JSON.stringify(topic)}, and the metadata log from offset ${startOffset} on tells of none.`
        : `Topic ${JSON.stringify(topic)} has the partitions 0 to ${present.partitions.length - 1}, not ${partition}.`,
    )
  const target: TopicPartition = { topicId, partition }
  const before: PartitionBefore | null =
    startOffset > 1 && replicas !== undefined ? { topicName: topic, replicas } : null
  const story = new PartitionStory(target, before)
  for (const { metadataOffset, records } of batches) story.batch(metadataOffset, records)
  return { story, startOffset }
}

interface Batch {
  readonly metadataOffset: MetadataOffset
  readonly records: readonly MetadataRecord[]
}

/** All that is committed now; what is committed meanwhile may be left out. */
async function readAll(client: Client): Promise<{ startOffset: MetadataOffset; batches: readonly Batch[] }> {
  const first = await client.admin.readMetadataLog()
  const batches: Batch[] = []
  let part = first
  for (;;) {
    part.entries.forEach((entry, i) => {
      if (entry !== null)
        batches.push({ metadataOffset: part.fromOffset + i, records: decodeMetadataBatch(entry) })
    })
    const next = part.fromOffset + part.entries.length
    if (next > first.endOffset || part.entries.length === 0)
      return { startOffset: first.startOffset, batches }
    part = await client.admin.readMetadataLog({ fromOffset: next })
  }
}

async function presentTopic(client: Client, topic: string): Promise<TopicListing | null> {
  const topics = await client.admin.listTopics()
  return topics.find(({ name }) => name === topic) ?? null
}

/** A topic that is gone has a story as well, as long as the log tells of its creation. */
function lastIdOf(name: string, batches: readonly Batch[]): TopicId | null {
  let found: TopicId | null = null
  for (const { records } of batches)
    for (const record of records)
      if (record.type === 'topic-created' && record.name === name) found = record.topicId
  return found
}
