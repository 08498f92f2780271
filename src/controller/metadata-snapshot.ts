// A snapshot of the metadata as bytes: record batches with one piece of the image in each record, the term as their
// leader epoch. These bytes are the file, and what is sent to other controllers and to brokers.
import type { Cpu } from '../base/cpu.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import { imageOfRecords, recordsOfImage } from '../metadata/image-snapshot.ts'
import { type SnapshotRecord, snapshotRecordSchema } from '../metadata/snapshot-records.ts'
import { VltavaError } from '../model/errors.ts'
import { decodeWire, encodeWire } from '../protocol/codec.ts'
import type { Snapshot } from '../raft/types.ts'
import { packValues, unpackValues } from '../record/batch-values.ts'

export interface SnapshotOf {
  readonly image: ClusterImage
  /** The term of the last entry that was applied. */
  readonly term: number
}

/** The snapshot batch by batch, so that the work can be spread over several turns. */
export function encodeSnapshot(
  { image, term }: SnapshotOf,
  options: { readonly cpu: Cpu; readonly wallMs: number },
): Generator<Uint8Array> {
  const { cpu, wallMs } = options
  return packValues(encoded(recordsOfImage(image)), {
    cpu,
    leaderEpoch: term,
    timestampMs: Math.max(0, wallMs),
  })
}

/** @throws VltavaError when the bytes are not the whole, intact snapshot that they are said to be. */
export function decodeSnapshot({ index, term, data }: Snapshot, cpu: Cpu): ClusterImage {
  const image = imageOfRecords(decoded(unpackValues(data, { cpu, leaderEpoch: term })))
  if (image.metadataOffset !== index) {
    throw new VltavaError(
      'CORRUPT_MESSAGE',
      `The metadata snapshot ends at offset ${image.metadataOffset}, it should end at ${index}.`,
    )
  }
  return image
}

function* encoded(records: Iterable<SnapshotRecord>): Generator<Uint8Array> {
  for (const record of records) yield encodeWire(snapshotRecordSchema, record)
}

function* decoded(values: Iterable<Uint8Array>): Generator<SnapshotRecord> {
  for (const value of values) yield decodeWire(snapshotRecordSchema, value)
}
