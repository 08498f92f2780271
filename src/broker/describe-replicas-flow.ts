import { VltavaError } from '../model/errors.ts'
import { partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { describeReplicas } from '../protocol/describe-replicas.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'
import { replicaLags } from './replica-lag.ts'

type Request = RequestOf<typeof describeReplicas>
type Response = ResponseOf<typeof describeReplicas>

/** Tells how far the replicas of partitions are that this broker leads. */
export class DescribeReplicasFlow {
  readonly #registry: PartitionRegistry

  constructor(options: { readonly registry: PartitionRegistry }) {
    this.#registry = options.registry
  }

  async handle(request: Request): Promise<Response> {
    return { partitions: await Promise.all(request.partitions.map((partition) => this.#describe(partition))) }
  }

  async #describe(request: Request['partitions'][number]): Promise<Response['partitions'][number]> {
    try {
      const role = this.#registry.require(partitionKey(request.topicId, request.partition)).requireLeader()
      role.checkEpoch(request.currentLeaderEpoch)
      const replicas = await replicaLags(role)
      if (role.hasEnded) throw new VltavaError('NOT_LEADER_OR_FOLLOWER')
      return { error: null, leaderEpoch: role.leaderEpoch, replicas: [...replicas] }
    } catch (thrown) {
      return { error: partitionErrorOf(thrown), leaderEpoch: 0, replicas: [] }
    }
  }
}
