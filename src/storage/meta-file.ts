// Whose data directory this is. A broker that starts on the directory of another node or cluster would mix two logs up,
// so it refuses instead (STO-23).
import { toBase64Url } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { ClusterId, DirectoryId, NodeId } from '../model/ids.ts'
import { type AtomicFile, isCount, isObject } from './atomic-file.ts'

/** The version of everything in a data directory. */
export const DIRECTORY_FORMAT_VERSION = 1

export interface DirectoryMeta {
  /** null until the node has joined a cluster. */
  readonly clusterId: ClusterId | null
  readonly nodeId: NodeId
  /** Made with the directory, so that an empty or exchanged disk is told apart. */
  readonly directoryId: DirectoryId
}

/**
 * Reads the identity of a directory, or null when it has none yet.
 * @throws VltavaError UNSUPPORTED_VERSION when a later release wrote it, INVALID_CONFIG when it is another node's,
 *   STORAGE_ERROR when the file is damaged.
 */
export async function readMeta(file: AtomicFile, nodeId: NodeId): Promise<DirectoryMeta | null> {
  const content = await file.read()
  if (content.status === 'absent') return null
  if (content.status === 'newer') {
    throw new VltavaError(
      'UNSUPPORTED_VERSION',
      `${file.path} has format version ${content.version}; this release reads up to ${DIRECTORY_FORMAT_VERSION}. ` +
        'Start the release that wrote the directory or a later one.',
    )
  }
  const meta = content.status === 'ok' ? parseMeta(content.data) : null
  if (meta === null) {
    throw unreadableMeta(file, content.status === 'damaged' ? `damaged: ${content.reason}` : 'damaged')
  }
  if (meta.nodeId !== nodeId) {
    throw new VltavaError(
      'INVALID_CONFIG',
      `The data directory belongs to node ${meta.nodeId} (${file.path}), but this node has the id ${nodeId}. ` +
        'Correct node.id or the data directory.',
    )
  }
  return meta
}

/** @param problem what the file is. */
export function unreadableMeta(file: AtomicFile, problem: string): VltavaError {
  return new VltavaError(
    'STORAGE_ERROR',
    `${file.path} is ${problem}, so it cannot be told whose data this is. Restore the file from a backup, or start on ` +
      'an empty directory to copy the data from other replicas.',
    { retriable: false },
  )
}

export function newMeta(nodeId: NodeId, random: Random): DirectoryMeta {
  const directoryId = new Uint8Array(16)
  random.fill(directoryId)
  return { clusterId: null, nodeId, directoryId: toBase64Url(directoryId) }
}

/** @throws VltavaError INCONSISTENT_CLUSTER_ID unless the directory belongs to the cluster or to none. */
export function checkClusterId(meta: DirectoryMeta, clusterId: ClusterId): void {
  if (meta.clusterId === null || meta.clusterId === clusterId) return
  throw new VltavaError(
    'INCONSISTENT_CLUSTER_ID',
    `The data directory belongs to cluster ${meta.clusterId}, but this cluster is ${clusterId}. ` +
      'Correct the data directory or the addresses of the cluster.',
  )
}

function parseMeta(data: unknown): DirectoryMeta | null {
  if (!isObject(data)) return null
  const { clusterId, nodeId, directoryId } = data
  if (clusterId !== null && typeof clusterId !== 'string') return null
  if (!isCount(nodeId) || typeof directoryId !== 'string') return null
  return { clusterId, nodeId, directoryId }
}
