// Decides when the committed state is worth a snapshot, and writes it beside everything else: the image is immutable, so
// commits go on meanwhile. One is made at a time.
import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import type { Entry, Snapshot } from '../raft/types.ts'
import { fileErrorCodeOf } from '../storage/file-system.ts'
import { encodeSnapshot, type SnapshotOf } from './metadata-snapshot.ts'
import type { SnapshotFiles } from './snapshot-files.ts'

/** Bytes an entry counts besides its data, so that empty ones count at all. */
const ENTRY_OVERHEAD_BYTES = 24

export interface SnapshotMakerOptions {
  readonly clock: Clock
  readonly cpu: Cpu
  readonly log: Log
  readonly process: Process
  readonly files: SnapshotFiles
  /** Bytes of entries after which there is another one. */
  readonly bytesBetweenSnapshots: number
  /** Milliseconds after which there is another one, if anything was committed; 0 for no limit. */
  readonly snapshotIntervalMs: number
  /** It is durable. */
  readonly onMade: (snapshot: Snapshot) => void
}

export class SnapshotMaker {
  readonly #options: SnapshotMakerOptions
  #bytes = 0
  #lastAtMs: number
  #making: Promise<void> | null = null
  #stopped = false

  constructor(options: SnapshotMakerOptions) {
    this.#options = options
    this.#lastAtMs = options.clock.monotonicMs()
  }

  /** These were committed, and gave this state; there is one entry or more. */
  committed(entries: readonly Entry[], state: SnapshotOf): void {
    for (const { data } of entries) this.#bytes += ENTRY_OVERHEAD_BYTES + (data?.length ?? 0)
    const { clock, bytesBetweenSnapshots, snapshotIntervalMs } = this.#options
    const nowMs = clock.monotonicMs()
    const isDue =
      this.#bytes >= bytesBetweenSnapshots ||
      (snapshotIntervalMs > 0 && nowMs - this.#lastAtMs >= snapshotIntervalMs)
    if (!isDue || this.#making !== null || this.#stopped) return
    this.#restart()
    this.#making = this.#make(state).finally(() => {
      this.#making = null
    })
  }

  /** A snapshot of a leader came in. */
  restored(): void {
    this.#restart()
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#making
  }

  #restart(): void {
    this.#bytes = 0
    this.#lastAtMs = this.#options.clock.monotonicMs()
  }

  async #make(state: SnapshotOf): Promise<void> {
    const { clock, cpu, files, log, process, onMade } = this.#options
    const id = { index: state.image.metadataOffset, term: state.term }
    try {
      const data = await files.write(id, encodeSnapshot(state, { cpu, wallMs: clock.wallMs() }))
      if (this.#stopped) return
      log.info('metadata-snapshot-made', { ...id, bytes: data.length })
      onMade({ ...id, data })
    } catch (error) {
      if (this.#stopped) return
      // The log is whole without it; there is another try after as many bytes again.
      if (fileErrorCodeOf(error) === 'ENOSPC') log.error('metadata-snapshot-not-made', { ...id, error })
      else process.fail('a snapshot of the metadata could not be made', error)
    }
  }
}
