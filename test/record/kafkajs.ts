// The record batches of kafkajs 2.2.4, an implementation that shares no code with ours. It has no types for these files.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

interface KafkajsEncoder {
  readonly buffer: Buffer
}

export interface KafkajsRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** The type says string, but bytes pass as well. A list stands for a repeated name. */
  readonly headers?: Readonly<Record<string, unknown>>
  readonly timestampDelta?: number
  readonly offsetDelta: number
}

export interface KafkajsBatch {
  readonly compression?: number
  readonly firstOffset?: unknown
  readonly firstTimestamp: number
  readonly maxTimestamp: number
  readonly partitionLeaderEpoch?: number
  readonly lastOffsetDelta: number
  readonly producerId?: unknown
  readonly producerEpoch?: number
  readonly firstSequence?: number
  readonly records: readonly KafkajsRecord[]
}

export interface KafkajsDecoded {
  readonly firstOffset: string
  readonly firstTimestamp: string
  readonly maxTimestamp: string
  readonly partitionLeaderEpoch: number
  readonly inTransaction: boolean
  readonly isControlBatch: boolean
  readonly lastOffsetDelta: number
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly records: readonly {
    readonly timestamp: string
    readonly offset: string
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>
  }[]
}

const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  readonly RecordBatch: (batch: object) => Promise<KafkajsEncoder>
}
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (
  record: object,
) => KafkajsEncoder
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<KafkajsDecoded>
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => object
const Encoder = require('kafkajs/src/protocol/encoder') as new () => {
  writeVarInt(value: number): KafkajsEncoder
  writeVarLong(value: unknown): KafkajsEncoder
}
const Long = require('kafkajs/src/utils/long') as { fromValue(value: number): unknown }

export const KAFKAJS_GZIP = 1

export async function encodeWithKafkajs(batch: KafkajsBatch): Promise<Uint8Array> {
  const records = batch.records.map((record) => encodeRecord(record))
  return Uint8Array.from((await RecordBatch({ ...batch, records })).buffer)
}

export function decodeWithKafkajs(batch: Uint8Array): Promise<KafkajsDecoded> {
  return decodeBatch(new Decoder(Buffer.from(batch)))
}

export function kafkajsLong(value: number): unknown {
  return Long.fromValue(value)
}

export function varintOfKafkajs(value: number): Uint8Array {
  return Uint8Array.from(new Encoder().writeVarInt(value).buffer)
}

export function varlongOfKafkajs(value: number): Uint8Array {
  return Uint8Array.from(new Encoder().writeVarLong(Long.fromValue(value)).buffer)
}
