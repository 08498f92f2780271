// Files that others keep in a data directory: a backup, what fsck found. Nobody may touch them (STO-24).
import type { Random } from '../../base/random.ts'
import type { NodeId } from '../../model/ids.ts'
import { oneOf } from './draw.ts'
import { InvariantViolation } from './invariants/violation.ts'
import { DATA_DIR, type SimulatedCluster } from './simulated-cluster.ts'
import type { SimulatedNode } from './simulated-node.ts'

export interface ForeignFilesOptions {
  readonly cluster: Pick<SimulatedCluster, 'nodes'>
  readonly random: Random
  readonly onTrace: (line: string) => void
}

/** Directories that hold none of Vltava's files, at each level where it looks through what is there. */
const DIRECTORIES = ['lost+found', 'topics/lost+found', 'topics/backup-2026'] as const

const encoder = new TextEncoder()

export class ForeignFiles {
  readonly #options: ForeignFilesOptions
  /** By node: what was put there, by path. */
  readonly #files = new Map<NodeId, Map<string, Uint8Array>>()
  #made = 0

  constructor(options: ForeignFilesOptions) {
    this.#options = options
  }

  /**
   * Puts one there, whether the node runs or not.
   * @returns whether there was a place: on an empty disk it would be a directory of which nobody can tell whose it is.
   */
  add(node: SimulatedNode): boolean {
    if (node.disk.fileSystem.peek(`${DATA_DIR}/meta.json`) === null) return false
    const path = `${DATA_DIR}/${oneOf(this.#options.random, DIRECTORIES)}/notes-${++this.#made}`
    const bytes = encoder.encode(`what others wrote ${this.#made}`)
    node.disk.fileSystem.plant(path, bytes)
    const files = this.#files.get(node.id) ?? new Map<string, Uint8Array>()
    this.#files.set(node.id, files.set(path, bytes))
    this.#options.onTrace(`${node.name} has a foreign file ${path}`)
    return true
  }

  /** The disk of the node was replaced, and its files with it. */
  forget(id: NodeId): void {
    this.#files.delete(id)
  }

  /** @throws InvariantViolation where one is gone or changed. */
  check(): void {
    for (const { id, name, disk } of this.#options.cluster.nodes) {
      for (const [path, bytes] of this.#files.get(id) ?? []) {
        const found = disk.fileSystem.peek(path)
        if (found !== null && found.length === bytes.length && found.every((byte, i) => byte === bytes[i]))
          continue
        const how = found === null ? 'is gone' : 'has other bytes'
        throw new InvariantViolation('STO-24', `${name}: ${path}, which is none of Vltava's, ${how}`)
      }
    }
  }
}
