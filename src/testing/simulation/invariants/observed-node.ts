import type { NodeId } from '../../../model/ids.ts'
import type { NodeServer } from '../../../server/node-server.ts'
import type { MemoryFileSystem } from '../../../storage/memory-file-system.ts'

/** A node that runs, as the invariants look at it. */
export interface ObservedNode {
  readonly id: NodeId
  /** Counts the runs of its process from 1. */
  readonly run: number
  readonly server: NodeServer
  /** It was told to stop and is about it. */
  readonly isStopping: boolean
  readonly fileSystem: MemoryFileSystem
  readonly dataDir: string
}
