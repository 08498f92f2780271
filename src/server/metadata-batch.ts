import { type MetadataRecord, metadataBatchSchema } from '../metadata/metadata-records.ts'
import { decodeWire } from '../protocol/codec.ts'

/**
 * The records of one entry of the metadata log, as `Admin.readMetadataLog` gives it.
 * @throws VltavaError PROTOCOL_VIOLATION when it is none, or of a later release.
 */
export function decodeMetadataBatch(entry: Uint8Array): readonly MetadataRecord[] {
  return decodeWire(metadataBatchSchema, entry)
}
