// The durable Raft log. It is a log of record batches like any other and shares recovery and checksums with them: entry
// i is the one record of the batch at offset i - 1, with the term as its leader epoch and the entry's data as its value
// (null for the empty entry of a new leader). An entry that changes the voters has them as its key. Its beginning is dropped once two snapshots stand for it. One batch per entry, not per write: a log can only be cut between
// batches, and cutting off more than the conflicting entries would, until they are written again, lose acknowledged
// ones.
import { assert } from '../base/assert.ts'
import { concatBytes } from '../base/bytes.ts'
import { VltavaError } from '../model/errors.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { decodeWire, encodeWire } from '../protocol/codec.ts'
import { VOTERS_ABSOLUTE_MAX, voterKeySchema } from '../raft/messages.ts'
import type { Entry, HardState, Snapshot } from '../raft/types.ts'
import { BatchBuilder } from '../record/batch-builder.ts'
import { leaderEpochOf } from '../record/batch-format.ts'
import { forEachBatch, readRecords } from '../record/batch-reader.ts'
import { validateBatch } from '../record/batch-validation.ts'
import { list } from '../schema/schema.ts'
import { LOG_SETTINGS_DEFAULT, type LogSettings } from '../storage/log-settings.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { ControllerDirectory, ControllerEnvironment } from './controller-environment.ts'
import type { HardStateFile } from './hard-state-file.ts'
import { decodeSnapshot } from './metadata-snapshot.ts'
import type { PersistedState, RaftStore } from './raft-driver.ts'
import type { LoadedSnapshot, SnapshotFiles } from './snapshot-files.ts'

const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024
/** No record goes by age or size, ever: the log is the state of the cluster, and only a snapshot takes its place. */
const METADATA_LOG_SETTINGS: LogSettings = {
  ...LOG_SETTINGS_DEFAULT,
  cleanupDeletes: false,
  retentionMs: null,
  segmentMs: Number.MAX_SAFE_INTEGER,
  fileDeleteDelayMs: 0,
}
const SEGMENT_BYTES_MIN = 1024
const READ_BYTES = 1024 * 1024
const BATCH_HEADER_BYTES = 128
const VOTER_BYTES = 32

const voterKeysSchema = list(voterKeySchema, VOTERS_ABSOLUTE_MAX)

export interface StoredLog {
  readonly hardState: HardState
  /** The newest intact one; null while the log is whole. */
  readonly loaded: LoadedSnapshot | null
  /** Those behind the snapshot. */
  readonly entries: readonly Entry[]
}

export interface RaftLogStoreOptions {
  readonly environment: ControllerEnvironment
  readonly directory: Pick<ControllerDirectory, 'openMetadataLog'>
  readonly hardState: HardStateFile
  readonly snapshots: SnapshotFiles
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
   * Recovers the log and reads what is behind the newest snapshot; what it returns is durable.
   * @throws VltavaError STORAGE_ERROR when term and vote cannot be read, or no snapshot that the log continues; CORRUPT_MESSAGE or CorruptLogError when entries
   *   are damaged that may have been acknowledged
   */
  async open(): Promise<StoredLog> {
    const { directory, segmentBytes = SEGMENT_BYTES_DEFAULT } = this.#options
    const hardState = await this.#options.hardState.read()
    const loaded = await this.#options.snapshots.loadNewest()
    const log = await directory.openMetadataLog({ settings: { ...METADATA_LOG_SETTINGS, segmentBytes } })
    this.#log = log
    const baseIndex = loaded?.snapshot.index ?? 0
    if (log.logStartOffset > baseIndex) throw this.#gap(log.logStartOffset, baseIndex)
    // A snapshot of a leader was stored, but a crash came before the log could be dropped.
    if (loaded !== null && !holds(log, loaded.snapshot)) await log.truncateFullyAndStartAt(baseIndex)
    return { hardState, loaded, entries: await this.#readEntries(log, baseIndex) }
  }

  /**
   * Durable when it resolves: the hard state first; then a snapshot of the leader, and only then the log in whose place it
   * comes is dropped; then what the entries replace is cut off, then the entries.
   */
  async persist({ hardState, snapshot, entries }: PersistedState): Promise<void> {
    if (hardState !== null) await this.#options.hardState.write(hardState)
    if (snapshot !== null) {
      // Before the log is gone that it replaces: one that was damaged on the way is asked for again after a restart.
      decodeSnapshot(snapshot, this.#options.environment.cpu)
      await this.#options.snapshots.write(snapshot, [snapshot.data])
      await this.#opened().truncateFullyAndStartAt(snapshot.index)
    }
    if (entries.length === 0) return
    const log = this.#opened()
    const startOffset = entries[0]!.index - 1
    if (startOffset < log.logEndOffset) await log.truncateTo(startOffset)
    assert(log.logEndOffset === startOffset, `entry ${startOffset + 1} leaves a gap in the metadata log`)
    const { written } = log.appendAsFollower(concatBytes(entries.map((entry) => this.#batchOf(entry))))
    await written
    await log.flush()
  }

  /**
   * Drops what neither of the newest two snapshots needs: older snapshots, and whole segments of the log. Not to be called
   * while `persist` is under way.
   */
  async compact(): Promise<void> {
    const index = await this.#options.snapshots.removeOld()
    await this.#opened().trimSegmentsTo(index)
  }

  #gap(logStart: number, snapshotIndex: number): VltavaError {
    const detail =
      `The metadata log begins behind offset ${logStart}, but ` +
      (snapshotIndex === 0
        ? 'there is no intact snapshot'
        : `the newest intact snapshot ends at ${snapshotIndex}`) +
      '. This node cannot tell the state of the cluster from that, so it does not start. Restore the directory, or ' +
      'start with an empty one: the node then comes back without a vote.'
    return new VltavaError('STORAGE_ERROR', detail, { definite: true, retriable: false })
  }

  #opened(): PartitionLog {
    assert(this.#log !== null, 'the metadata log is not open')
    return this.#log
  }

  #batchOf({ index, term, data, voters }: Entry): Uint8Array {
    const { cpu, clock } = this.#options.environment
    const builder = new BatchBuilder({
      cpu,
      maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
      expectedBytes: (data?.length ?? 0) + (voters?.length ?? 0) * VOTER_BYTES + BATCH_HEADER_BYTES,
    })
    const key = voters === undefined ? null : encodeWire(voterKeysSchema, voters)
    builder.tryAppend({ key, value: data, timestampMs: Math.max(0, clock.wallMs()) })
    return builder.build({ baseOffset: index - 1, leaderEpoch: term })
  }

  async #readEntries(log: PartitionLog, baseIndex: number): Promise<readonly Entry[]> {
    const entries: Entry[] = []
    while (baseIndex + entries.length < log.logEndOffset) {
      const offset = baseIndex + entries.length
      const range = { offset, endOffset: log.logEndOffset, maxBytes: READ_BYTES }
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
    const { offset, key, value } = records[0]!
    if (records.length !== 1) {
      throw new VltavaError('CORRUPT_MESSAGE', `The metadata log has ${records.length} records in one batch.`)
    }
    const entry = { index: offset + 1, term: leaderEpochOf(batch, 0), data: value }
    return key === null ? entry : { ...entry, voters: decodeWire(voterKeysSchema, key) }
  }
}

/** A segment goes as a whole, so a few of them lie between two snapshots; 64 MiB at most. */
export function segmentBytesFor(bytesBetweenSnapshots: number): number {
  return Math.max(SEGMENT_BYTES_MIN, Math.min(SEGMENT_BYTES_DEFAULT, Math.floor(bytesBetweenSnapshots / 4)))
}

/** Whether the log continues the snapshot: it holds the last entry that this stands for, or begins right behind it. */
function holds(log: PartitionLog, { index, term }: Snapshot): boolean {
  if (log.logStartOffset === index) return true
  return index <= log.logEndOffset && log.epochs.epochAt(index - 1) === term
}
