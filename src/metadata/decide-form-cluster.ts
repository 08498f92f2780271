import type { ClusterId } from '../model/ids.ts'
import type { VoterImage } from './cluster-image.ts'
import type { Decision, DecisionContext } from './decision.ts'

export interface Formation {
  readonly clusterId: ClusterId
  readonly voters: readonly Pick<VoterImage, 'nodeId' | 'directoryId'>[]
}

/** The first record of a cluster; none when the log holds it already. */
export function decideFormCluster(context: DecisionContext, formation: Formation): Decision<null> {
  if (context.image.clusterId !== null) return { records: [], response: null }
  const { clusterId } = formation
  const voters = formation.voters.map(({ nodeId, directoryId }) => ({ nodeId, directoryId, url: null }))
  return { records: [{ type: 'cluster-formed', clusterId, voters }], response: null }
}
