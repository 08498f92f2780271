// vltava log dump: what is in the files of a data directory.
import { resolve } from 'node:path'
import { silentLog } from '../base/log.ts'
import type { BatchHeader, RecordView } from '../record/batch-reader.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { type DumpItem, dump } from '../storage/file-dump.ts'
import { explainingAccess } from './log-access.ts'
import { overviewAsText } from './log-overview.ts'
import { smallFileAsText } from './log-small-file.ts'
import { plural } from './output.ts'
import { encodeBytes } from './record-json.ts'
import { EXIT, say, type Terminal, write } from './terminal.ts'
import { parseInteger } from './text-options.ts'

export interface LogDumpOptions {
  readonly records?: boolean
  readonly from: string
  readonly limit?: string
  readonly json?: boolean
}

/** Text that is gathered before it is written: a write for each record would take longer than reading it. */
const CHUNK_CHARACTERS = 64 * 1024

export async function dumpLog(path: string, options: LogDumpOptions, terminal: Terminal): Promise<number> {
  const range = { min: 0, max: Number.MAX_SAFE_INTEGER }
  const fromOffset = parseInteger(options.from, { option: '--from', ...range })
  const limit =
    options.limit === undefined
      ? Number.POSITIVE_INFINITY
      : parseInteger(options.limit, { option: '--limit', ...range, min: 1 })
  const { fileSystem, cpu } = createNodeEnvironment(silentLog)
  const items = dump({ fileSystem, cpu, path: resolve(path), records: options.records === true, fromOffset })
  const render = options.json === true ? asJson : asText
  let isDamaged = false
  let printed = 0
  let text = ''
  await explainingAccess(path, async () => {
    for await (const item of items) {
      terminal.interrupted.throwIfAborted()
      isDamaged ||= isDamage(item)
      text += `${render(item)}\n`
      if (++printed >= limit) break
      if (text.length < CHUNK_CHARACTERS) continue
      await write(terminal.stdout, text)
      text = ''
    }
  })
  await write(terminal.stdout, text)
  if (!isDamaged) return EXIT.done
  say(terminal, 'Something here is damaged. vltava log verify tells a torn tail from damage, and what to do.')
  return EXIT.failed
}

function isDamage(item: DumpItem): boolean {
  if (item.type === 'garbage') return true
  if (item.type === 'batch') return !item.isCrcRight
  return item.type === 'small-file' && item.content.status === 'damaged'
}

function asJson(item: DumpItem): string {
  switch (item.type) {
    case 'batch':
      return JSON.stringify({ type: 'batch', position: item.position, ...batchFields(item) })
    case 'record':
      return JSON.stringify({ type: 'record', ...recordFields(item.record) })
    case 'offset-entry':
    case 'time-entry':
      return JSON.stringify({ type: item.type, ...item.entry })
    case 'small-file':
      return JSON.stringify({ type: item.type, name: item.name, ...item.content })
    default:
      return JSON.stringify(item)
  }
}

function batchFields({ header, isCrcRight }: { readonly header: BatchHeader; readonly isCrcRight: boolean }) {
  const { crc, lastOffsetDelta, baseOffset, ...rest } = header
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    ...rest,
    crc: crc.toString(16).padStart(8, '0'),
    isCrcRight,
  }
}

function recordFields({ offset, timestampMs, key, value, headers }: RecordView) {
  const [keyText, valueText] = [encodeBytes(key), encodeBytes(value)]
  return {
    offset,
    timestamp: timestampMs,
    key: keyText.text,
    value: valueText.text,
    headers: headers.map((header) => {
      const { text, encoding } = encodeBytes(header.value)
      return { key: header.key, value: text, valueEncoding: encoding }
    }),
    keyEncoding: keyText.encoding,
    valueEncoding: valueText.encoding,
  }
}

function asText(item: DumpItem): string {
  switch (item.type) {
    case 'batch':
      return batchAsText(item)
    case 'record':
      return recordAsText(item.record)
    case 'unshown':
      return `    ${plural(item.count, 'record')} cannot be shown: ${item.reason}`
    case 'garbage':
      return `@${item.position}  NO BATCH  ${item.bytes} bytes: ${item.reason}`
    case 'offset-entry':
      return `offset ${item.entry.offset}  position ${item.entry.position}`
    case 'time-entry':
      return `before offset ${item.entry.offset}  no later than ${timeOf(item.entry.timestampMs)}`
    case 'small-file':
      return smallFileAsText(item.name, item.content)
    case 'lock':
      return item.text
    case 'directory':
      return overviewAsText(item.overview)
  }
}

function batchAsText({
  position,
  header,
  isCrcRight,
}: {
  readonly position: number
  readonly header: BatchHeader
  readonly isCrcRight: boolean
}): string {
  const { baseOffset, lastOffsetDelta, leaderEpoch, sizeBytes, compression, recordsCount } = header
  const { baseTimestampMs, maxTimestampMs, producerId, producerEpoch, baseSequence } = header
  const times =
    baseTimestampMs === maxTimestampMs
      ? timeOf(maxTimestampMs)
      : `${timeOf(baseTimestampMs)} to ${timeOf(maxTimestampMs)}`
  return [
    `@${position}`,
    `offsets ${baseOffset}..${baseOffset + lastOffsetDelta}`,
    `epoch ${leaderEpoch}`,
    `${sizeBytes} bytes`,
    isCrcRight ? 'crc ok' : 'CRC WRONG',
    compression === 'none' ? 'not compressed' : compression,
    plural(recordsCount, 'record'),
    times,
    ...(producerId < 0 ? [] : [`producer ${producerId}/${producerEpoch} sequence ${baseSequence}`]),
    ...(header.isTransactional ? ['transactional'] : []),
    ...(header.isControl ? ['control'] : []),
    ...(header.isLogAppendTime ? ['append time'] : []),
  ].join('  ')
}

function recordAsText({ offset, timestampMs, key, value, headers }: RecordView): string {
  const parts = [
    `    ${offset}`,
    timeOf(timestampMs),
    `key ${bytesAsText(key)}`,
    `value ${bytesAsText(value)}`,
  ]
  if (headers.length > 0) {
    const pairs = headers.map((header) => `${JSON.stringify(header.key)}=${bytesAsText(header.value)}`)
    parts.push(`headers ${pairs.join(' ')}`)
  }
  return parts.join('  ')
}

/** Quoted where it is text without control characters, so that no record can move the cursor of a terminal. */
function bytesAsText(bytes: Uint8Array | null): string {
  if (bytes === null) return 'null'
  const { text, encoding } = encodeBytes(bytes)
  const isShown = encoding === 'utf8' && !/\p{Cc}/u.test(text!.replaceAll(/[\t\n\r]/g, ''))
  if (isShown) return JSON.stringify(text)
  return `base64:${Buffer.from(bytes).toString('base64')}`
}

/** Times that no calendar has are shown as numbers. */
function timeOf(ms: number): string {
  return ms >= 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : String(ms)
}
