// Remembers over restarts which parts of a log are damaged, in the file `damaged-ranges` of its directory. There is such a
// file only while there is something to tell: `{"endLost": false, "tailDropped": false, "ranges": [[offset, end offset], ...]}`.
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Offset } from '../model/ids.ts'
import { AtomicFile } from './atomic-file.ts'
import { type FileSystem, joinPath } from './file-system.ts'

export interface StoredDamage {
  /** Exclusive ends. */
  readonly ranges: readonly (readonly [offset: Offset, endOffset: Offset])[]
  /** Whether the end of the log was lost, and the controller may not have heard of it. */
  readonly endLost: boolean
  /** Whether recovery cut off bytes that may have been acknowledged, and the controller may not have heard of it. */
  readonly tailDropped: boolean
}

export const NO_DAMAGE: StoredDamage = { ranges: [], endLost: false, tailDropped: false }

export class DamageFile {
  readonly #file: AtomicFile
  readonly #log: Log
  #stored: string | null = null

  constructor(options: {
    readonly fileSystem: FileSystem
    readonly cpu: Cpu
    readonly log: Log
    readonly directory: string
  }) {
    const { fileSystem, cpu, directory, log } = options
    const path = joinPath(directory, 'damaged-ranges')
    this.#file = new AtomicFile({ fileSystem, cpu, path, format: 'damaged-ranges', version: 1 })
    this.#log = log
  }

  /**
   * What was damaged when the log was closed. A file that cannot be read says nothing: the scrub will find it again. But a tail
   * that was cut off leaves no trace, so it is taken for cut off.
   */
  async read(): Promise<StoredDamage> {
    const content = await this.#file.read()
    if (content.status === 'absent') return NO_DAMAGE
    const damage = content.status === 'ok' ? decodeDamage(content.data) : null
    if (damage === null) {
      this.#log.warn('damaged-ranges-unreadable', { path: this.#file.path, status: content.status })
      return { ...NO_DAMAGE, tailDropped: true }
    }
    this.#stored = JSON.stringify(damage)
    return damage
  }

  /** Calls must not overlap. Does nothing where the file holds the same. */
  async write(damage: StoredDamage): Promise<void> {
    const text = JSON.stringify(damage)
    const isEmpty = damage.ranges.length === 0 && !damage.endLost && !damage.tailDropped
    if (text === this.#stored || (isEmpty && this.#stored === null)) return
    if (isEmpty) await this.#file.remove()
    else await this.#file.write(damage)
    this.#stored = isEmpty ? null : text
  }
}

/** @returns null where the data is nothing such. */
export function decodeDamage(data: unknown): StoredDamage | null {
  if (typeof data !== 'object' || data === null || !('ranges' in data) || !('endLost' in data)) return null
  const { ranges, endLost } = data
  // Files from before it was noted do not say.
  const tailDropped = 'tailDropped' in data && data.tailDropped === true
  if (typeof endLost !== 'boolean' || !Array.isArray(ranges)) return null
  const decoded: (readonly [Offset, Offset])[] = []
  for (const range of ranges as readonly unknown[]) {
    if (!Array.isArray(range) || range.length !== 2) return null
    const [offset, endOffset] = range as [unknown, unknown]
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(endOffset)) return null
    decoded.push([offset as Offset, endOffset as Offset])
  }
  return { ranges: decoded, endLost, tailDropped }
}
