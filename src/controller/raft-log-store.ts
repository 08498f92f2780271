// The durable Raft log. It is a log of record batches like any other and shares recovery and checksums with them: entry
// i is the one record of the batch at offset i - 1, with the term as its leader epoch and the entry's data as its value
// (null for the empty entry of a new leader). One batch per entry, not per write: a log can only be cut between
// batches, and cutting off more than the conflicting entries would, until they are written again, lose acknowledged
// ones.
import { assert } from '../base/assert.ts'
import { concatBytes } from '../base/bytes.ts'
import { VltavaError } from '../model/errors.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import type { Entry, HardState } from '../raft/types.ts'
import { BatchBuilder } from '../record/batch-builder.ts'
import { leaderEpochOf } from '../record/batch-format.ts'
import { forEachBatch, readRecords } from '../record/batch-reader.ts'
import { validateBatch } from '../record/batch-validation.ts'
import { LOG_SETTINGS_DEFAULT, type LogSettings } from '../storage/log-settings.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { ControllerDirectory, ControllerEnvironment } from './controller-environment.ts'
import type { HardStateFile } from './hard-state-file.ts'
import type { RaftStore } from './raft-driver.ts'

const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024
/** No record goes by age or size, ever: the log is the state of the cluster. */
const METADATA_LOG_SETTINGS: LogSettings = {
  ...LOG_SETTINGS_DEFAULT,
  cleanupDeletes: false,
  retentionMs: null,
  segmentMs: Number.MAX_SAFE_INTEGER,
}
const READ_BYTES = 1024 * 1024
const BATCH_HEADER_BYTES = 128

export interface StoredLog {
  readonly hardState: HardState
  readonly entries: readonly Entry[]
}

export interface RaftLogStoreOptions {
  readonly environment: ControllerEnvironment
  readonly directory: Pick<ControllerDirectory, 'openMetadataLog'>
  readonly hardState: HardStateFile
  /** Default 64 MiB. */
  readonly segmentBytes?: number
}

export class RaftLogStore implements RaftStore {
  readonly #options: RaftLogStoreOptions
  #log: PartitionLog | null = null

  constructor(options: RaftLogStoreOptions) {
    this.#options = options
  }

  /**
   * Recovers the log and reads all of it; what it returns is durable.
   * @throws VltavaError STORAGE_ERROR when term and vote cannot be read, CORRUPT_MESSAGE or CorruptLogError when entries
   *   are damaged that may have been acknowledged
   */
  async open(): Promise<StoredLog> {
    const { directory, segmentBytes = SEGMENT_BYTES_DEFAULT } = this.#options
    const hardState = await this.#options.hardState.read()
    this.#log = await directory.openMetadataLog({ settings: { ...METADATA_LOG_SETTINGS, segmentBytes } })
    return { hardState, entries: await this.#readEntries(this.#log) }
  }

  /** Durable when it resolves: the hard state first, then what the entries replace is cut off, then the entries. */
  async persist(state: {
    readonly hardState: HardState | null
    readonly entries: readonly Entry[]
  }): Promise<void> {
    const { hardState, entries } = state
    if (hardState !== null) await this.#options.hardState.write(hardState)
    if (entries.length === 0) return
    const log = this.#opened()
    const startOffset = entries[0]!.index - 1
    if (startOffset < log.logEndOffset) await log.truncateTo(startOffset)
    assert(log.logEndOffset === startOffset, `entry ${startOffset + 1} leaves a gap in the metadata log`)
    const { written } = log.appendAsFollower(concatBytes(entries.map((entry) => this.#batchOf(entry))))
    await written
    await log.flush()
  }

  #opened(): PartitionLog {
    assert(this.#log !== null, 'the metadata log is not open')
    return this.#log
  }

  #batchOf({ index, term, data }: Entry): Uint8Array {
    const { cpu, clock } = this.#options.environment
    const builder = new BatchBuilder({
      cpu,
      maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
      expectedBytes: (data?.length ?? 0) + BATCH_HEADER_BYTES,
    })
    builder.tryAppend({ key: null, value: data, timestampMs: Math.max(0, clock.wallMs()) })
    return builder.build({ baseOffset: index - 1, leaderEpoch: term })
  }

  async #readEntries(log: PartitionLog): Promise<readonly Entry[]> {
    const entries: Entry[] = []
    while (entries.length < log.logEndOffset) {
      const range = { offset: entries.length, endOffset: log.logEndOffset, maxBytes: READ_BYTES }
      const parts = await log.read({ ...range, atLeastOneBatch: true })
      for (const bytes of parts) {
        forEachBatch(bytes, (position) => entries.push(this.#entryOf(bytes, position)))
      }
    }
    return entries
  }

  #entryOf(bytes: Uint8Array, position: number): Entry {
    const { cpu } = this.#options.environment
    const sizeBytes = validateBatch(bytes, position, {
      cpu,
      maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
      origin: 'log',
    })
    const batch = bytes.subarray(position, position + sizeBytes)
    const records = readRecords(batch, { cpu })
    const { offset, value } = records[0]!
    if (records.length !== 1) {
      throw new VltavaError('CORRUPT_MESSAGE', `The metadata log has ${records.length} records in one batch.`)
    }
    return { index: offset + 1, term: leaderEpochOf(batch, 0), data: value }
  }
}
