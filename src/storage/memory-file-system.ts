// The file system port in memory, with the durability of a disk: what was not synced is gone, or partly gone, after
// power loss, and every operation can be delayed, cut short or made to fail. Its room can be limited.
import type { Random } from '../base/random.ts'
import type { DirectoryEntry, DiskSpace, FileHandle, FileSystem, OpenMode } from './file-system.ts'
import { directoryOf } from './file-system.ts'
import { type FilePowerLoss, MemoryFile, SECTOR_BYTES, type SectorOutcome } from './memory-file.ts'

export type FileOperationKind = keyof FileHandle | keyof FileSystem

export interface FileOperation {
  readonly kind: FileOperationKind
  readonly path: string
  /** Counts the operations of this file system from 1. */
  readonly sequence: number
}

/** An Error makes the operation fail without effect; `writeBytes` makes a write short. */
export type Fault = Error | { readonly writeBytes: number } | undefined

export interface MemoryFileSystemOptions {
  /**
   * Called before each operation takes effect. A returned promise holds the operation until it resolves (one that never
   * does is a process that stopped there).
   */
  readonly onOperation?: (operation: FileOperation) => Fault | Promise<Fault>
}

/** What power loss leaves of what was not synced; absent members mean that all of it is lost. */
export interface PowerLoss {
  sector?(path: string, index: number): SectorOutcome
  size?(path: string, durableBytes: number, writtenBytes: number): number
  /** How many of the changes of names in a directory survive, the earliest first. */
  names?(path: string, changes: number): number
  /** Needed where sectors turn to garbage. */
  readonly random?: Random
}

/** A power loss that decides everything by chance, within the assumptions of the port. */
export function randomPowerLoss(random: Random): PowerLoss {
  return {
    random,
    sector: () => (random.below(2) === 0 ? 'lost' : 'kept'),
    size(_path, durableBytes, writtenBytes) {
      const draw = random.below(3)
      if (draw === 0) return durableBytes
      if (draw === 1 || writtenBytes < durableBytes) return writtenBytes
      return durableBytes + random.below(writtenBytes - durableBytes + 1)
    },
    names: (_path, changes) => random.below(changes + 1),
  }
}

export function posixError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

type Node = MemoryFile | MemoryDirectory
/** Names set or, with null, removed together. */
type NameChange = readonly (readonly [name: string, node: Node | null])[]

class MemoryDirectory {
  readonly names = new Map<string, Node>()
  /** The names after power loss, and the changes that are not among them yet. */
  readonly durable = new Map<string, Node>()
  readonly unsynced: { readonly stamp: number; readonly change: NameChange }[] = []
  stamp = 0

  change(change: NameChange): void {
    this.unsynced.push({ stamp: ++this.stamp, change })
    applyChange(this.names, change)
  }

  completeSync(stamp: number): void {
    while (this.unsynced.length > 0 && this.unsynced[0]!.stamp <= stamp) {
      applyChange(this.durable, this.unsynced.shift()!.change)
    }
  }
}

function applyChange(names: Map<string, Node>, change: NameChange): void {
  for (const [name, node] of change) {
    if (node === null) names.delete(name)
    else names.set(name, node)
  }
}

/** What a disk without a capacity says it has. */
const UNLIMITED_BYTES = 2 ** 46

/** A file lies in memory as a whole; what needs positions beyond 2^32 is tested on real disks. */
const FILE_MAX_BYTES = 2 ** 30

export class MemoryFileSystem implements FileSystem {
  readonly #onOperation: MemoryFileSystemOptions['onOperation']
  #root = new MemoryDirectory()
  readonly #openFiles = new Map<MemoryFile, number>()
  #operations = 0
  #halted = false
  /**
   * The room on this disk in bytes; null, the default, is no limit. Every file and directory takes a sector and a file
   * also the sectors of its bytes, until its last name is removed and its last handle is closed. May be lowered below
   * what is used, as when something else fills the disk.
   */
  capacityBytes: number | null = null

  constructor(options: MemoryFileSystemOptions = {}) {
    this.#onOperation = options.onOperation
  }

  /** Operations begun so far. */
  get operations(): number {
    return this.#operations
  }

  /** For onlookers: the names in a directory as they read now, none where there is no directory. No operation. */
  peekNames(path: string): readonly string[] {
    const node = this.#find(path)
    return node instanceof MemoryDirectory ? [...node.names.keys()].sort() : []
  }

  /**
   * For onlookers: the bytes of a file as they were written, to be looked at at once; null where there is none. Where the
   * medium flipped bits, they read otherwise. No operation.
   */
  peek(path: string): Uint8Array | null {
    const node = this.#find(path)
    return node instanceof MemoryFile ? node.writtenView : null
  }

  /**
   * The medium changes a byte of a file: an act of fate, no operation.
   * @param mask the bits to flip, 1 to 255.
   * @returns false, and nothing changes, where the byte is not there or not synced.
   */
  flip(path: string, position: number, mask: number): boolean {
    const node = this.#find(path)
    return node instanceof MemoryFile && node.flip(position, mask)
  }

  /**
   * For onlookers: whether bytes of a file would read after power loss as they do now. No operation.
   * @param range `end` exclusive.
   */
  isDurable(path: string, range: { readonly start: number; readonly end: number }): boolean {
    const node = this.#find(path)
    return node instanceof MemoryFile && node.isDurable(range)
  }

  /** For onlookers: the files in a directory with bits that read otherwise than they were written. No operation. */
  flippedNames(path: string): readonly string[] {
    const node = this.#find(path)
    if (!(node instanceof MemoryDirectory)) return []
    return [...node.names]
      .filter(([, file]) => file instanceof MemoryFile && file.isFlipped)
      .map(([name]) => name)
  }

  /** For onlookers: the positions in a file at which it reads otherwise than it was written. No operation. */
  flippedPositions(path: string): readonly number[] {
    const node = this.#find(path)
    return node instanceof MemoryFile ? node.flippedPositions : []
  }

  /**
   * Somebody else puts a file here, durably, with the directories above it: an act of fate, no operation. A file of that name
   * is replaced.
   */
  plant(path: string, bytes: Uint8Array): void {
    const names = namesOf(path)
    let directory = this.#root
    for (const name of names.slice(0, -1)) {
      const next = directory.names.get(name) ?? new MemoryDirectory()
      if (next instanceof MemoryFile) throw posixError('ENOTDIR', path)
      directory.names.set(name, next)
      directory.durable.set(name, next)
      directory = next
    }
    const file = new MemoryFile()
    file.write(bytes, 0)
    file.completeSync(file.beginSync())
    directory.names.set(names.at(-1)!, file)
    directory.durable.set(names.at(-1)!, file)
  }

  /** From now on nothing takes effect and no promise of this file system settles: its process is gone. */
  halt(): void {
    this.#halted = true
  }

  /** Halts this file system; the result is what the next process finds after this one was killed (nothing is lost). */
  afterKill(options: MemoryFileSystemOptions = {}): MemoryFileSystem {
    return this.#successor(options, copyTree(this.#root, new Map()))
  }

  /** Halts this file system; the result is what the machine finds when its power comes back. May be called again. */
  afterPowerLoss(loss: PowerLoss = {}, options: MemoryFileSystemOptions = {}): MemoryFileSystem {
    return this.#successor(options, loseTree(this.#root, { loss, path: '', done: new Map() }))
  }

  #successor(options: MemoryFileSystemOptions, root: MemoryDirectory): MemoryFileSystem {
    this.halt()
    const successor = new MemoryFileSystem(options)
    successor.#root = root
    successor.capacityBytes = this.capacityBytes
    return successor
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    await this.gate('open', path)
    const directory = this.#directory(directoryOf(path))
    let node = directory.names.get(nameOf(path))
    if (node === undefined && mode === 'create') {
      this.#takeSector(path)
      node = new MemoryFile()
      directory.change([[nameOf(path), node]])
    }
    if (node === undefined) throw posixError('ENOENT', path)
    if (node instanceof MemoryDirectory) throw posixError('EISDIR', path)
    const file = node
    this.#openFiles.set(file, (this.#openFiles.get(file) ?? 0) + 1)
    const onClose = (): void => {
      const left = this.#openFiles.get(file)! - 1
      if (left > 0) this.#openFiles.set(file, left)
      else this.#openFiles.delete(file)
    }
    return new MemoryFileHandle({ fileSystem: this, file, path, writable: mode !== 'read', onClose })
  }

  async list(directory: string): Promise<readonly DirectoryEntry[]> {
    await this.gate('list', directory)
    const entries = [...this.#directory(directory).names]
    return entries
      .map(([name, node]) => ({ name, isDirectory: node instanceof MemoryDirectory }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async exists(path: string): Promise<boolean> {
    await this.gate('exists', path)
    return this.#find(path) !== undefined
  }

  async link(path: string, newPath: string): Promise<void> {
    await this.gate('link', newPath)
    const file = this.#file(path)
    const directory = this.#directory(directoryOf(newPath))
    if (directory.names.has(nameOf(newPath))) throw posixError('EEXIST', newPath)
    directory.change([[nameOf(newPath), file]])
  }

  async rename(path: string, newPath: string): Promise<void> {
    await this.gate('rename', path)
    if (directoryOf(path) !== directoryOf(newPath)) throw posixError('EXDEV', newPath)
    const directory = this.#directory(directoryOf(path))
    const node = directory.names.get(nameOf(path))
    if (node === undefined) throw posixError('ENOENT', path)
    const target = directory.names.get(nameOf(newPath))
    if (target instanceof MemoryDirectory && target.names.size > 0) throw posixError('ENOTEMPTY', newPath)
    directory.change([
      [nameOf(path), null],
      [nameOf(newPath), node],
    ])
  }

  async remove(path: string): Promise<void> {
    await this.gate('remove', path)
    this.#file(path)
    this.#directory(directoryOf(path)).change([[nameOf(path), null]])
  }

  async makeDirectory(path: string): Promise<void> {
    await this.gate('makeDirectory', path)
    let directory = this.#root
    for (const name of namesOf(path)) {
      let next = directory.names.get(name)
      if (next === undefined) {
        this.#takeSector(path)
        next = new MemoryDirectory()
        directory.change([[name, next]])
      }
      if (next instanceof MemoryFile) throw posixError('EEXIST', path)
      directory = next
    }
  }

  async removeDirectory(path: string): Promise<void> {
    await this.gate('removeDirectory', path)
    if (this.#directory(path).names.size > 0) throw posixError('ENOTEMPTY', path)
    this.#directory(directoryOf(path)).change([[nameOf(path), null]])
  }

  async syncDirectory(path: string): Promise<void> {
    const directory = this.#find(path)
    const stamp = directory instanceof MemoryDirectory ? directory.stamp : 0
    await this.gate('syncDirectory', path)
    this.#directory(path).completeSync(stamp)
  }

  async space(path: string): Promise<DiskSpace> {
    await this.gate('space', path)
    if (this.#find(path) === undefined) throw posixError('ENOENT', path)
    const totalBytes = this.capacityBytes ?? UNLIMITED_BYTES
    return { totalBytes, availableBytes: Math.max(0, totalBytes - this.#usedBytes()) }
  }

  /** For handles: bytes that a write to the file at this position may have. */
  roomAt(file: MemoryFile, position: number): number {
    if (this.capacityBytes === null) return Number.POSITIVE_INFINITY
    const freeBytes = Math.max(0, this.capacityBytes - this.#usedBytes())
    return Math.max(0, inSectors(file.sizeBytes) + wholeSectors(freeBytes) - position)
  }

  #takeSector(path: string): void {
    if (this.capacityBytes === null || this.capacityBytes - this.#usedBytes() >= SECTOR_BYTES) return
    throw posixError('ENOSPC', path)
  }

  #usedBytes(): number {
    const nodes = new Set<Node>(this.#openFiles.keys())
    addTree(this.#root, nodes)
    let bytes = 0
    for (const node of nodes)
      bytes += SECTOR_BYTES + (node instanceof MemoryFile ? inSectors(node.sizeBytes) : 0)
    return bytes
  }

  /** Counts an operation, lets the fault hook act and never returns once this file system is halted. */
  async gate(kind: FileOperationKind, path: string): Promise<Fault> {
    if (this.#halted) await never()
    const fault = await this.#onOperation?.({ kind, path, sequence: ++this.#operations })
    if (this.#halted) await never()
    // A sync that fails has an effect all the same.
    if (fault instanceof Error && kind !== 'sync') throw fault
    return fault
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of namesOf(path)) {
      if (node instanceof MemoryFile) throw posixError('ENOTDIR', path)
      node = node?.names.get(name)
    }
    return node
  }

  #directory(path: string): MemoryDirectory {
    const node = this.#find(path)
    if (node === undefined) throw posixError('ENOENT', path)
    if (node instanceof MemoryFile) throw posixError('ENOTDIR', path)
    return node
  }

  #file(path: string): MemoryFile {
    const node = this.#find(path)
    if (node === undefined) throw posixError('ENOENT', path)
    if (node instanceof MemoryDirectory) throw posixError('EISDIR', path)
    return node
  }
}

class MemoryFileHandle implements FileHandle {
  readonly #fileSystem: MemoryFileSystem
  readonly #file: MemoryFile
  readonly #path: string
  readonly #writable: boolean
  readonly #onClose: () => void
  #closed = false

  constructor(options: {
    fileSystem: MemoryFileSystem
    file: MemoryFile
    path: string
    writable: boolean
    onClose: () => void
  }) {
    this.#onClose = options.onClose
    this.#fileSystem = options.fileSystem
    this.#file = options.file
    this.#path = options.path
    this.#writable = options.writable
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    await this.#gate('read')
    return this.#file.read(target, position)
  }

  /** Copies the bytes when it completes, not when it is called: a caller that changes them meanwhile is found out. */
  async write(parts: readonly Uint8Array[], position: number): Promise<number> {
    const fault = await this.#gate('write')
    if (!this.#writable) throw posixError('EBADF', this.#path)
    const wantedBytes = parts.reduce((bytes, part) => bytes + part.length, 0)
    if (position + wantedBytes > FILE_MAX_BYTES) throw posixError('EFBIG', this.#path)
    let room = this.#fileSystem.roomAt(this.#file, position)
    // As on a real disk: what fits is written, and only the next write fails.
    if (room === 0 && wantedBytes > 0) throw posixError('ENOSPC', this.#path)
    if (fault !== undefined && 'writeBytes' in fault) room = Math.min(room, fault.writeBytes)
    let at = position
    for (const part of parts) {
      const taken = part.subarray(0, Math.min(part.length, room))
      if (taken.length === 0) continue
      this.#file.write(taken, at)
      at += taken.length
      room -= taken.length
    }
    return at - position
  }

  async sync(): Promise<void> {
    const capture = this.#file.beginSync()
    const fault = await this.#gate('sync')
    if (!(fault instanceof Error)) return this.#file.completeSync(capture)
    this.#file.failSync(capture)
    throw fault
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#gate('truncate')
    if (!this.#writable) throw posixError('EBADF', this.#path)
    if (sizeBytes > FILE_MAX_BYTES) throw posixError('EFBIG', this.#path)
    if (sizeBytes > this.#file.sizeBytes + this.#fileSystem.roomAt(this.#file, this.#file.sizeBytes))
      throw posixError('ENOSPC', this.#path)
    this.#file.truncate(sizeBytes)
  }

  async size(): Promise<number> {
    await this.#gate('size')
    return this.#file.sizeBytes
  }

  async close(): Promise<void> {
    await this.#gate('close')
    if (this.#closed) throw posixError('EBADF', this.#path)
    this.#closed = true
    this.#onClose()
  }

  #gate(kind: keyof FileHandle): Promise<Fault> {
    if (this.#closed) return Promise.reject(posixError('EBADF', this.#path))
    return this.#fileSystem.gate(kind, this.#path)
  }
}

function inSectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES
}

function wholeSectors(bytes: number): number {
  return Math.floor(bytes / SECTOR_BYTES) * SECTOR_BYTES
}

function addTree(directory: MemoryDirectory, nodes: Set<Node>): void {
  for (const node of directory.names.values()) {
    nodes.add(node)
    if (node instanceof MemoryDirectory) addTree(node, nodes)
  }
}

function never(): Promise<never> {
  return new Promise(() => {})
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function copyTree(directory: MemoryDirectory, done: Map<Node, Node>): MemoryDirectory {
  const copied = (node: Node): Node => {
    const before = done.get(node)
    if (before !== undefined) return before
    if (node instanceof MemoryDirectory) return copyTree(node, done)
    const file = node.copy()
    done.set(node, file)
    return file
  }
  const copy = new MemoryDirectory()
  done.set(directory, copy)
  for (const [name, node] of directory.names) copy.names.set(name, copied(node))
  for (const [name, node] of directory.durable) copy.durable.set(name, copied(node))
  copy.stamp = directory.stamp
  for (const { stamp, change } of directory.unsynced) {
    const nodes = change.map(([name, node]) => [name, node === null ? null : copied(node)] as const)
    copy.unsynced.push({ stamp, change: nodes })
  }
  return copy
}

interface Loss {
  readonly loss: PowerLoss
  readonly path: string
  /** A file with two names stays one file. */
  readonly done: Map<MemoryFile, MemoryFile>
}

function loseTree(directory: MemoryDirectory, { loss, path, done }: Loss): MemoryDirectory {
  const names = new Map(directory.durable)
  const kept = loss.names?.(path === '' ? '/' : path, directory.unsynced.length) ?? 0
  for (const { change } of directory.unsynced.slice(0, kept)) applyChange(names, change)
  const left = new MemoryDirectory()
  for (const [name, node] of names) {
    const child = `${path}/${name}`
    const survivor =
      node instanceof MemoryDirectory
        ? loseTree(node, { loss, path: child, done })
        : (done.get(node) ?? node.afterPowerLoss(fileLoss(loss, child)))
    if (node instanceof MemoryFile) done.set(node, survivor as MemoryFile)
    left.names.set(name, survivor)
    left.durable.set(name, survivor)
  }
  return left
}

function fileLoss(loss: PowerLoss, path: string): FilePowerLoss {
  return {
    sector: (index) => loss.sector?.(path, index) ?? 'lost',
    size: (durableBytes, writtenBytes) => loss.size?.(path, durableBytes, writtenBytes) ?? durableBytes,
    garbage(target) {
      if (loss.random === undefined) throw new Error('a power loss with garbage needs a random source')
      loss.random.fill(target)
    },
  }
}
