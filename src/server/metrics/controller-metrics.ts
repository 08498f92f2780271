// What a controller tells. All but the first are told by the active one alone: the others may be behind.
import type { ControllerNode } from '../../controller/controller-node.ts'
import { type ClusterImage, votersOf } from '../../metadata/cluster-image.ts'
import { partitionsOf } from '../../metadata/partition-change.ts'
import { countOf } from './hosted-partitions.ts'
import type { MetricRow } from './metric-row.ts'

function ofController(name: string, help: string, value: (controller: ControllerNode) => number): MetricRow {
  return {
    name,
    help,
    type: 'gauge',
    labels: [],
    *samples({ controller }) {
      if (controller !== null) yield { value: value(controller) }
    },
  }
}

function ofImage(name: string, help: string, value: (image: ClusterImage) => number): MetricRow {
  return {
    name: `kafka_controller_kafkacontroller_${name}`,
    help,
    type: 'gauge',
    labels: [],
    *samples({ controller }) {
      if (controller?.isActive === true) yield { value: value(controller.image) }
    },
  }
}

export const CONTROLLER_METRICS: readonly MetricRow[] = [
  ofController(
    'kafka_controller_kafkacontroller_activecontrollercount',
    '1 on the active controller, 0 on the others.',
    ({ isActive }) => (isActive ? 1 : 0),
  ),
  ofController(
    'kafka_server_raft_metrics_current_epoch',
    'Raft term, as far as this voter knows.',
    ({ voter }) => voter?.driver.term ?? 0,
  ),
  ofController(
    'kafka_server_raft_metrics_current_leader',
    'Node that leads the quorum; -1 while none is known.',
    ({ controllerId }) => controllerId ?? -1,
  ),
  ofController(
    'kafka_server_raft_metrics_high_watermark',
    'Metadata offset up to which this voter has applied.',
    ({ image }) => image.metadataOffset,
  ),
  ofImage('activebrokercount', 'Brokers that are not fenced.', ({ brokers }) =>
    countOf(brokers.values(), ({ fenced }) => !fenced),
  ),
  ofImage('fencedbrokercount', 'Registered brokers that are fenced.', ({ brokers }) =>
    countOf(brokers.values(), ({ fenced }) => fenced),
  ),
  ofImage('globaltopiccount', 'Topics of the cluster.', ({ topics }) => topics.size),
  ofImage('globalpartitioncount', 'Partitions of the cluster.', (image) =>
    countOf(partitionsOf(image), () => true),
  ),
  ofImage('offlinepartitionscount', 'Partitions that nobody leads.', (image) =>
    countOf(partitionsOf(image), ({ partition }) => partition.leader === null),
  ),
  ofImage(
    'preferredreplicaimbalancecount',
    'Partitions that another than their first replica leads.',
    (image) => countOf(partitionsOf(image), ({ partition }) => partition.leader !== votersOf(partition)[0]),
  ),
]
