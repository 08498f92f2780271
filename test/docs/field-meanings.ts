// What a field means where the schema has no comment beside it: by its name, which means the same in every message, or
// by message and path where it does not. Every field of the protocol must have a meaning.
const BY_NAME: Readonly<Record<string, string>> = {
  acks: '0 no answer, 1 written by the leader, -1 (all) covered by the high watermark.',
  apiVersions: 'The newest version of each API that this node speaks.',
  batchesBytes: "Bytes of this partition's batches in the payload.",
  brokerEpoch: 'The registration under which the broker runs.',
  brokerId: 'Node id of the broker.',
  brokers: 'All registered brokers.',
  campaignTerm: 'The term for which the candidate asks.',
  clusterId: 'The id of the cluster.',
  commitIndex: 'Up to where the leader has committed.',
  configs: 'The settings that were given for the topic; others have their defaults.',
  conflict: 'null: everything up to `index` agrees.',
  controllerId: 'The active controller as far as known.',
  controllerTerm: 'The Raft term in which the controller is active.',
  currentLeaderEpoch: 'The leader epoch in which the sender believes to be.',
  data: 'The batch of metadata records; null for the empty entry of a new leader.',
  detail: 'What was seen, in words.',
  directoryId: 'The id of the data directory.',
  endOffset: 'Where the epoch ends in the log of the leader, exclusive.',
  elr: 'Eligible leader replicas: outside of the ISR, and they hold every committed record.',
  entries: 'Entries from prevIndex + 1 on, without gaps.',
  epoch: 'The largest epoch of the leader that is not above the one of the follower.',
  fenced: 'Whether the broker may neither lead nor serve clients.',
  fetchOffset: 'The first offset wanted.',
  flushedOffset: 'What an fdatasync of the follower covers, exclusive.',
  formation: 'The cluster this node belongs to; null while it belongs to none.',
  from: 'Node id of the sender.',
  granted: 'Whether the vote is, or would be, given.',
  highWatermark: 'Everything below it is committed. Exclusive.',
  incarnationId: 'Identifies one run of the process.',
  index: 'A place in the log.',
  isBroker: 'Whether the node has the role broker.',
  isController: 'Whether the node is one of the voters.',
  isr: 'The in-sync replicas.',
  key: 'The key of the API.',
  kind: 'What kind of event it was.',
  lastIndex: "The index of the candidate's last entry.",
  lastTerm: "The term of the candidate's last entry.",
  leader: 'Node id of the leader; null while no eligible replica is alive.',
  leaderEpoch: 'Counts the leaderships of the partition.',
  logEndOffset: 'The next offset the leader writes. Exclusive.',
  logStartOffset: 'The first offset that is kept.',
  mac: 'The proof of the cluster secret.',
  maxBytes: 'Bytes the answer may hold at most.',
  maxWaitMs: 'Milliseconds the request may park.',
  mayShutDown: 'Whether the leaderships have moved, as far as they can.',
  message: 'One of the Raft messages below.',
  metadataOffset: 'The place in the metadata log.',
  minBytes: 'Bytes to wait for, at most maxWaitMs.',
  name: 'The name of the topic.',
  nodeId: 'The id of the node.',
  nonce: 'Random bytes that make this handshake a new one.',
  observedAtMs: 'When it was seen: milliseconds since 1970 by the clock of whoever saw it.',
  partition: 'The index of the partition.',
  partitionEpoch: 'Counts the committed changes of leader and in-sync set.',
  partitions: 'One element for each partition.',
  peer: 'The claim of a node that wants to speak as a peer; null for a client.',
  prevIndex: 'The index of the entry before the first one sent.',
  prevTerm: 'The term of that entry.',
  replicas: 'The replicas; the first one is the preferred leader.',
  replicationFactor: 'Replicas of each partition.',
  shuttingDown: 'Whether the broker asked for leave to stop.',
  software: 'Software and version of the node, for logs.',
  spec: 'What to look for.',
  term: 'A Raft term.',
  timeoutMs: 'Milliseconds the server may take.',
  timestamp: 'The first record at or after a time.',
  timestampMs: 'Milliseconds since 1970.',
  earliest: 'The log start.',
  latest: 'The high watermark.',
  to: 'Node id of the receiver.',
  topicId: 'The id of the topic, never its name.',
  topics: 'The topics asked for.',
  url: 'Where clients and other nodes reach the broker.',
  value: 'The value as text.',
  version: 'The newest version.',
  voters: 'The voters of the controller quorum.',
}

const CAUSE = 'Why it happened: what was seen, by which node, and when.'

/** By the name of the message, a space and the path; these win over the comments. */
const BY_PLACE: Readonly<Record<string, string>> = {
  'alter-partition partitions': 'In the order of the request; in the request, the partitions to change.',
  'broker-fencing-changed cause': CAUSE,
  'broker-registered cause': CAUSE,
  'partition-changed cause': CAUSE,
  'partition-created cause': CAUSE,
  'create-topic configs[].name': 'The name of a topic setting.',
  'create-topic name': 'The name wanted.',
  'create-topic partitions': 'How many partitions the topic has.',
  'cluster-metadata topics[].configs[].name': 'The name of a topic setting.',
  'elect-leaders leader': 'The leader after the call; null when there is none.',
  'elect-leaders topic': 'The name of the topic.',
  'delete-topic name': 'The name of the topic to delete.',
  'topic-created configs[].name': 'The name of a topic setting.',
  'fetch partitions[].maxBytes':
    'Bytes of this partition at most; the first batch of the answer may be larger.',
  'replica-fetch partitions[].maxBytes':
    'Bytes of this partition at most; the first batch of the answer may be larger.',
}

/**
 * @param owner the name of the API, Raft message or metadata record.
 * @param comment the comment beside the field in its schema; empty when there is none.
 * @returns an empty text where nothing says what the field means.
 */
export function meaningOf(owner: string, field: { readonly path: string; readonly comment: string }): string {
  const name = field.path.slice(field.path.lastIndexOf('.') + 1)
  return BY_PLACE[`${owner} ${field.path}`] ?? (field.comment || (BY_NAME[name] ?? ''))
}
