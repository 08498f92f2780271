// Fetches a snapshot of the metadata from the active controller, in parts of bounded size.

import { concatBytes } from '../base/bytes.ts'
import type { Cpu } from '../base/cpu.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import { imageOfRecords } from '../metadata/image-snapshot.ts'
import { type SnapshotRecord, snapshotRecordSchema } from '../metadata/snapshot-records.ts'
import { VltavaError } from '../model/errors.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { type fetchMetadata, fetchSnapshot } from '../protocol/broker-lifecycle.ts'
import { decodeWire } from '../protocol/codec.ts'
import { unpackValues } from '../record/batch-values.ts'
import type { ControllerLink } from './controller-link.ts'

/** Bytes of one part: 0.3 s on a link of 1 MB a second, so that heartbeats behind it are not late. */
const PART_MAX_BYTES = 256 * 1024
const PART_TIMEOUT_MS = 10_000

export type SnapshotName = NonNullable<ResponseOf<typeof fetchMetadata>['snapshot']>

/**
 * The image in a snapshot.
 * @throws VltavaError as the link does; SNAPSHOT_NOT_FOUND when the controller, or another one by now, has a newer one;
 *   CORRUPT_MESSAGE or INVALID_RECORD when what came is not what was announced
 */
export async function downloadSnapshot(
  { link, cpu }: { readonly link: ControllerLink; readonly cpu: Cpu },
  { metadataOffset, term, sizeBytes }: SnapshotName,
): Promise<ClusterImage> {
  const parts: Uint8Array[] = []
  let position = 0
  while (position < sizeBytes) {
    const request = { metadataOffset, term, position, maxBytes: PART_MAX_BYTES }
    const { part } = await link.request(fetchSnapshot, request, { timeoutMs: PART_TIMEOUT_MS })
    if (part.length === 0 || position + part.length > sizeBytes) {
      throw new VltavaError(
        'CORRUPT_MESSAGE',
        `The snapshot should have ${sizeBytes} bytes; the controller sent ${part.length} from ${position} on.`,
      )
    }
    parts.push(part)
    position += part.length
  }
  const image = imageOfRecords(decoded(unpackValues(concatBytes(parts), { cpu, leaderEpoch: term })))
  if (image.metadataOffset === metadataOffset) return image
  throw new VltavaError(
    'CORRUPT_MESSAGE',
    `The snapshot up to metadata offset ${metadataOffset} holds the metadata of ${image.metadataOffset}.`,
  )
}

function* decoded(values: Iterable<Uint8Array>): Generator<SnapshotRecord> {
  for (const value of values) yield decodeWire(snapshotRecordSchema, value)
}
