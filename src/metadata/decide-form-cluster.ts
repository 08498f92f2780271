import type { ClusterId } from '../model/ids.ts'
import type { ClusterImage } from './cluster-image.ts'
import type { Decision, DecisionContext } from './decision.ts'

export interface Formation {
  readonly clusterId: ClusterId
  readonly voters: ClusterImage['voters']
}

/** The first record of a cluster; none when the log holds it already. */
export function decideFormCluster(context: DecisionContext, formation: Formation): Decision<null> {
  if (context.image.clusterId !== null) return { records: [], response: null }
  const { clusterId, voters } = formation
  return { records: [{ type: 'cluster-formed', clusterId, voters }], response: null }
}
