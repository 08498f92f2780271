// Who votes stands in two places that must agree: in the entries of the log, for the consensus, and in the image that their
// records give, for everybody else and for snapshots.
import { assert } from '../base/assert.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import type { VoterKey } from '../raft/types.ts'

/** The voters of an image as the consensus knows them; absent before the cluster is formed. */
export function voterKeysOf(image: Pick<ClusterImage, 'voters'>): readonly VoterKey[] | undefined {
  if (image.voters.length === 0) return undefined
  return image.voters.map(({ nodeId, directoryId }) => ({ id: nodeId, directoryId }))
}

/** @throws AssertionError when the records of an entry or a snapshot say something else than it itself. */
export function assertSameVoters(image: ClusterImage, voters: readonly VoterKey[]): void {
  const shown = (keys: readonly VoterKey[]): string =>
    keys.map(({ id, directoryId }) => `${id}@${directoryId}`).join(', ')
  const inImage = shown(voterKeysOf(image) ?? [])
  assert(inImage === shown(voters), `the records make ${inImage} the voters, their entry ${shown(voters)}`)
}
