import { metadataOffsetSchema } from '../model/id-schemas.ts'
import { bytes, integer, list, nullable, struct } from '../schema/schema.ts'
import { defineApi } from './api.ts'

export const readMetadataLog = defineApi({
  key: 37,
  name: 'read-metadata-log',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Reads the committed metadata log, for those who want to know why something is as it is. A broker passes the request on to the active controller.',
  request: struct({
    /** The first metadata offset wanted; 0, or one before the log starts: from its start on. */
    fromOffset: metadataOffsetSchema,
    /** Bytes of entries at most, beyond the first one. */
    maxBytes: integer(1, 1024 * 1024),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    /** The first offset that can be read; what was before is in a snapshot. */
    startOffset: metadataOffsetSchema,
    /** The last committed offset. */
    endOffset: metadataOffsetSchema,
    /** The offset of the first entry. */
    fromOffset: metadataOffsetSchema,
    /** Batches of metadata records, without gaps; null for an empty leader-change entry. None behind the end. */
    entries: list(nullable(bytes(0, 4 * 1024 * 1024)), 100_000),
  }),
  errors: ['NOT_CONTROLLER', 'REQUEST_TIMED_OUT'],
})
