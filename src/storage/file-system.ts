// The file system port. Everything Vltava keeps goes through it, so that the same storage code runs on real disks and
// on an in-memory disk that loses power.
//
// What storage assumes of a disk, and no more:
// - Bytes are durable once a sync that began after their write returned has itself returned. The length of a file
//   counts as its bytes do.
// - At power loss each 512-byte sector of what was not synced is lost or kept on its own, in any combination. Bytes that
//   had been synced and were being overwritten are then the old or the new ones; bytes by which a file grew read as
//   zero where they were lost. Neighbouring bytes that were not being written stay intact.
// - A name (created, linked, renamed or removed) is durable once its directory has been synced. Changes of one directory
//   become durable in the order they were made. A rename replaces its target atomically.
// - A failed sync says nothing about what reached the disk, and a later sync that succeeds does not mend it: the kernel
//   may have dropped the bytes and called them clean (STO-12).
//
// Every method rejects with an Error that has the POSIX name of the problem as its `code` (ENOENT, EEXIST, EIO, ENOSPC
// and so on). Paths use '/'. Calls for one handle may overlap and then take effect in any order.

/** An open file. Using it after `close` is a bug of the caller and rejects with EBADF. */
export interface FileHandle {
  /**
   * Reads into the target, as many bytes as it has room for.
   * @param position bytes from the start of the file.
   * @returns the bytes read: fewer than asked for at any time, 0 only at the end of the file.
   */
  read(target: Uint8Array, position: number): Promise<number>
  /**
   * Writes the parts behind one another. They must not change until the call has returned.
   * @param position bytes from the start of the file; beyond its end, the gap reads as zero.
   * @returns the bytes written, which may be FEWER than given, also none: the caller loops (`writeFully`).
   */
  write(parts: readonly Uint8Array[], position: number): Promise<number>
  /** Makes durable everything whose write or truncation had returned before this was called (fdatasync). */
  sync(): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  /** Bytes of the file as it reads now, which need not be durable. */
  size(): Promise<number>
  close(): Promise<void>
}

/** `read` and `read-write` need the file to exist (else ENOENT); `create` makes it when absent and keeps what is there. */
export type OpenMode = 'read' | 'read-write' | 'create'

export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

/** How much room there is on the disk that a path lies on. */
export interface DiskSpace {
  /** What the files of this process could fill altogether: what is used by anybody, and what is available. */
  readonly totalBytes: number
  /** What this process may still use. */
  readonly availableBytes: number
}

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<FileHandle>
  /** What is in a directory, sorted by name (by UTF-16 units), so that runs repeat. */
  list(directory: string): Promise<readonly DirectoryEntry[]>
  exists(path: string): Promise<boolean>
  /** Gives a file a second name. Rejects with EEXIST when that name is taken: at most one of several callers gets it. */
  link(path: string, newPath: string): Promise<void>
  /** Renames a file or directory within its directory; a file replaces the file that has the new name. */
  rename(path: string, newPath: string): Promise<void>
  /** Removes the name of a file; open handles keep the file until they are closed. */
  remove(path: string): Promise<void>
  /** Makes the directory and the missing ones above it; does nothing when it exists. */
  makeDirectory(path: string): Promise<void>
  /** Removes an empty directory (else ENOTEMPTY). */
  removeDirectory(path: string): Promise<void>
  /** Makes durable every change of names in this directory, not below it, that had returned before. */
  syncDirectory(path: string): Promise<void>
  /**
   * The room on the disk of an existing file or directory (else ENOENT). A hint: others use the disk too, and a quota
   * may refuse a write (ENOSPC, EDQUOT) that should have had room.
   */
  space(path: string): Promise<DiskSpace>
}

/** The POSIX name of what went wrong; undefined where the thrown value has none. */
export function fileErrorCodeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

/** Without room, or without a free descriptor: the call had no effect, and the same call can succeed later. */
const PASSING_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'])

/**
 * Whether a failed call says nothing about the disk but that something is used up at the moment. True of calls that
 * open, write, link or make; a SYNC that fails with such a code has failed like any other.
 */
export function isPassing(thrown: unknown): boolean {
  const code = fileErrorCodeOf(thrown)
  return code !== undefined && PASSING_CODES.has(code)
}

export function isOutOfSpace(thrown: unknown): boolean {
  const code = fileErrorCodeOf(thrown)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

export function isNotFound(thrown: unknown): boolean {
  return fileErrorCodeOf(thrown) === 'ENOENT'
}

export function joinPath(directory: string, name: string): string {
  return directory.endsWith('/') ? `${directory}${name}` : `${directory}/${name}`
}

/** The directory a path lies in; '.' for a bare name. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/')
  if (slash < 0) return '.'
  return slash === 0 ? '/' : path.slice(0, slash)
}
