// Small files that are replaced as a whole: after a crash at any point the old or the new content is there.
//
//   {"crc32c":"9a8b7c6d","format":"leader-epochs","version":1,"data":...}
//
// One JSON document on one line, so that people can read it. The CRC-32C, eight hex digits, covers every byte behind
// the comma that follows it.
import type { Cpu } from '../base/cpu.ts'
import { readSmallFile, removeIfPresent, writeFully } from './file-io.ts'
import { directoryOf, type FileSystem } from './file-system.ts'

export type AtomicFileContent =
  | { readonly status: 'absent' }
  /** `data` passed the checksum; its shape is the reader's to check. */
  | { readonly status: 'ok'; readonly data: unknown }
  /** A later release wrote it: must not be replaced. */
  | { readonly status: 'newer'; readonly version: number }
  | { readonly status: 'damaged'; readonly reason: string }

export interface AtomicFileOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly path: string
  /** Names what the file holds, so that one renamed onto another is noticed. */
  readonly format: string
  /** The version this release writes, and the newest it reads; 1 or more. */
  readonly version: number
}

const CRC_START = '{"crc32c":"'
const CRC_END = '",'
const CRC_DIGITS = 8
const COVERED_FROM = CRC_START.length + CRC_DIGITS + CRC_END.length

/** The owner calls `write` one at a time. */
export class AtomicFile {
  readonly path: string
  readonly #fileSystem: FileSystem
  readonly #cpu: Cpu
  readonly #format: string
  readonly #version: number

  constructor(options: AtomicFileOptions) {
    this.path = options.path
    this.#fileSystem = options.fileSystem
    this.#cpu = options.cpu
    this.#format = options.format
    this.#version = options.version
  }

  async read(): Promise<AtomicFileContent> {
    const bytes = await readSmallFile(this.#fileSystem, this.path)
    return bytes === null ? { status: 'absent' } : this.#parse(bytes)
  }

  /**
   * Replaces the content; it is durable when this resolves. After an error the old or the new content is there.
   * @param data a JSON value.
   */
  async write(data: unknown): Promise<void> {
    const temporary = `${this.path}.tmp`
    const content = this.#serialize(data)
    const handle = await this.#fileSystem.open(temporary, 'create')
    try {
      await writeFully(handle, [content], 0)
      // One that a crash left behind may be longer.
      await handle.truncate(content.length)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await this.#fileSystem.rename(temporary, this.path)
    await this.#fileSystem.syncDirectory(directoryOf(this.path))
  }

  /** Removes the file for good, also one that was removed before a crash. Does nothing when it is absent. */
  async remove(): Promise<void> {
    await removeIfPresent(this.#fileSystem, this.path)
    await this.#fileSystem.syncDirectory(directoryOf(this.path))
  }

  #serialize(data: unknown): Uint8Array {
    const document = JSON.stringify({ format: this.#format, version: this.#version, data })
    const covered = `${document.slice(1)}\n`
    const crc = this.#cpu.crc32c(this.#cpu.encodeUtf8(covered))
    return this.#cpu.encodeUtf8(`${CRC_START}${hexOf(crc)}${CRC_END}${covered}`)
  }

  #parse(bytes: Uint8Array): AtomicFileContent {
    if (bytes.length <= COVERED_FROM) return damaged(`it has ${bytes.length} bytes`)
    const crc = hexOf(this.#cpu.crc32c(bytes.subarray(COVERED_FROM)))
    const text = this.#cpu.decodeUtf8(bytes)
    if (!text.startsWith(`${CRC_START}${crc}${CRC_END}`)) return damaged('its checksum is wrong')
    const document: unknown = JSON.parse(text)
    if (!isObject(document)) return damaged('it is no object')
    const { format, version, data } = document
    if (format !== this.#format || typeof version !== 'number') return damaged(`it is no ${this.#format}`)
    return version > this.#version ? { status: 'newer', version } : { status: 'ok', data }
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether a value can be an offset or an epoch. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function damaged(reason: string): AtomicFileContent {
  return { status: 'damaged', reason }
}

function hexOf(crc: number): string {
  return crc.toString(16).padStart(CRC_DIGITS, '0')
}
