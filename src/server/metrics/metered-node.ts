import type { BrokerNode } from '../../broker/broker-node.ts'
import type { ControllerNode } from '../../controller/controller-node.ts'

/** What the metrics of a node are read from. */
export interface MeteredNode {
  readonly broker: BrokerNode | null
  readonly controller: ControllerNode | null
}
