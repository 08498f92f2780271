// The snapshot files of one voter: metadata/<offset>-<term>.checkpoint, as Kafka names them. One is written under another
// name, synced and then renamed, so that under its own name it is whole (RAFT-28). The newest two are kept: should the
// newest turn out damaged, the node begins with the one before it and the log behind that.

import { concatBytes } from '../base/bytes.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import { VltavaError } from '../model/errors.ts'
import { SNAPSHOT_MAX_BYTES } from '../raft/messages.ts'
import type { Snapshot } from '../raft/types.ts'
import { readSmallFile, removeIfPresent, writeFully } from '../storage/file-io.ts'
import { type FileSystem, joinPath } from '../storage/file-system.ts'
import { decodeSnapshot } from './metadata-snapshot.ts'

const NAME = /^(\d{20})-(\d{10,16})\.checkpoint$/
const UNFINISHED = /^\d{20}-\d{10,16}\.checkpoint\.part$/
const KEPT = 2

export interface SnapshotId {
  readonly index: number
  readonly term: number
}

/** A snapshot that was read, with the image it holds. */
export interface LoadedSnapshot {
  readonly snapshot: Snapshot
  readonly image: ClusterImage
}

export interface SnapshotFilesOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly log: Log
  /** The directory `metadata`, which exists. */
  readonly path: string
}

export class SnapshotFiles {
  readonly #options: SnapshotFilesOptions

  constructor(options: SnapshotFilesOptions) {
    this.#options = options
  }

  /** What is there, the newest first, damaged ones included. */
  async list(): Promise<readonly SnapshotId[]> {
    const { fileSystem, path } = this.#options
    const ids: SnapshotId[] = []
    for (const { name, isDirectory } of await fileSystem.list(path)) {
      const match = isDirectory ? null : NAME.exec(name)
      if (match !== null) ids.push({ index: Number(match[1]), term: Number(match[2]) })
    }
    return ids.sort((a, b) => b.index - a.index || b.term - a.term)
  }

  /**
   * Reads the newest one that is intact, before anything is written. Removes what a crash left unfinished. A damaged one is put aside as <name>.damaged, for people to look at: it is never
   * loaded, and nothing is deleted because of what it lacks (JEP-19).
   * @returns null when there is none
   */
  async loadNewest(): Promise<LoadedSnapshot | null> {
    const { cpu, log } = this.#options
    await this.#removeUnfinished()
    for (const id of await this.list()) {
      const data = await readSmallFile(this.#options.fileSystem, this.#pathOf(id))
      if (data === null) continue
      const snapshot = { ...id, data }
      try {
        return { snapshot, image: decodeSnapshot(snapshot, cpu) }
      } catch (thrown) {
        if (!(thrown instanceof VltavaError)) throw thrown
        log.error('metadata-snapshot-damaged', { path: this.#pathOf(id), reason: thrown.message })
        await this.#putAside(id)
      }
    }
    return null
  }

  /**
   * Writes a snapshot; it is durable under its name when this resolves. Calls for different snapshots may overlap.
   * @param parts taken one after the other, so that they can be made meanwhile
   * @returns all of its bytes
   * @throws VltavaError SNAPSHOT_TOO_LARGE as INVALID_REQUEST when it would have more than SNAPSHOT_MAX_BYTES; errors of
   *   the file system. Then nothing is left of it but perhaps an unfinished file.
   */
  async write(id: SnapshotId, parts: Iterable<Uint8Array>): Promise<Uint8Array> {
    const { fileSystem, path } = this.#options
    const unfinished = `${this.#pathOf(id)}.part`
    const written: Uint8Array[] = []
    let sizeBytes = 0
    const handle = await fileSystem.open(unfinished, 'create')
    try {
      for (const part of parts) {
        if (sizeBytes + part.length > SNAPSHOT_MAX_BYTES) {
          throw new VltavaError(
            'INVALID_REQUEST',
            `A snapshot of the metadata has more than ${SNAPSHOT_MAX_BYTES} bytes, which no node would take.`,
          )
        }
        await writeFully(handle, [part], sizeBytes)
        sizeBytes += part.length
        written.push(part)
      }
      // One that a crash left behind may be longer.
      await handle.truncate(sizeBytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fileSystem.rename(unfinished, this.#pathOf(id))
    await fileSystem.syncDirectory(path)
    return concatBytes(written)
  }

  /**
   * Removes all but the newest two.
   * @returns the index up to which the log is not needed to start from either; 0 when there is just one
   */
  async removeOld(): Promise<number> {
    const { fileSystem, path } = this.#options
    const ids = await this.list()
    const old = ids.slice(KEPT)
    for (const id of old) await removeIfPresent(fileSystem, this.#pathOf(id))
    if (old.length > 0) await fileSystem.syncDirectory(path)
    return ids[KEPT - 1]?.index ?? 0
  }

  async #removeUnfinished(): Promise<void> {
    const { fileSystem, path } = this.#options
    for (const { name } of await fileSystem.list(path)) {
      if (UNFINISHED.test(name)) await removeIfPresent(fileSystem, joinPath(path, name))
    }
  }

  async #putAside(id: SnapshotId): Promise<void> {
    const { fileSystem, path } = this.#options
    await fileSystem.rename(this.#pathOf(id), `${this.#pathOf(id)}.damaged`)
    await fileSystem.syncDirectory(path)
  }

  #pathOf({ index, term }: SnapshotId): string {
    const name = `${String(index).padStart(20, '0')}-${String(term).padStart(10, '0')}.checkpoint`
    return joinPath(this.#options.path, name)
  }
}
