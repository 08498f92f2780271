// The error table. Numbers and names are Kafka's where Kafka has the error; ours start at 1000. Names may be reworded
// in a message, but a number, once released, never changes its meaning.
//
// `definite` answers the question a producer asks: was my request surely not carried out? A definite error of a
// produce means that no replica appended the records because of this request; an indefinite one means they may
// become visible later (CHK-0). NOT_LEADER_OR_FOLLOWER is indefinite because a leader can lose its role after the
// append (KAFKA-13574).

export interface ErrorRow {
  readonly code: number
  /** Whether the same request can succeed later or elsewhere. */
  readonly retriable: boolean
  readonly definite: boolean
  readonly message: string
}

const row = (code: number, retriable: boolean, definite: boolean, message: string): ErrorRow => ({
  code,
  retriable,
  definite,
  message,
})

export const ERRORS = {
  UNKNOWN_SERVER_ERROR: row(-1, false, false, 'The server hit an unexpected error; its log has the details.'),
  OFFSET_OUT_OF_RANGE: row(1, false, true, 'The offset is outside of the log.'),
  CORRUPT_MESSAGE: row(2, false, true, 'A record batch failed its checksum or is malformed.'),
  UNKNOWN_TOPIC_OR_PARTITION: row(3, false, true, 'The topic or partition does not exist.'),
  LEADER_NOT_AVAILABLE: row(5, true, true, 'The partition has no leader at the moment.'),
  NOT_LEADER_OR_FOLLOWER: row(
    6,
    true,
    false,
    'This broker does not lead the partition (or does not host it).',
  ),
  REQUEST_TIMED_OUT: row(7, true, false, 'The request was not answered in time.'),
  MESSAGE_TOO_LARGE: row(10, false, true, 'The record batch is larger than max.message.bytes allows.'),
  INVALID_TOPIC: row(17, false, true, 'The topic name is not allowed.'),
  NOT_ENOUGH_REPLICAS: row(
    19,
    true,
    true,
    'Fewer in-sync replicas than min.insync.replicas; nothing was appended.',
  ),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: row(
    20,
    true,
    false,
    'Appended, but the in-sync set shrank below min.insync.replicas.',
  ),
  CLUSTER_AUTHORIZATION_FAILED: row(
    31,
    false,
    true,
    'Only nodes that proved the cluster secret may do this.',
  ),
  UNSUPPORTED_VERSION: row(35, false, true, 'This version of the API is not supported.'),
  TOPIC_ALREADY_EXISTS: row(36, false, true, 'A topic of this name exists already.'),
  INVALID_PARTITIONS: row(37, false, true, 'The number of partitions is not allowed.'),
  INVALID_REPLICATION_FACTOR: row(38, false, true, 'The replication factor is not possible.'),
  INVALID_REPLICA_ASSIGNMENT: row(39, false, true, 'The partition cannot have these replicas.'),
  INVALID_CONFIG: row(40, false, true, 'A setting has an unknown name or a value that is not allowed.'),
  NOT_CONTROLLER: row(41, true, true, 'This node is not the active controller.'),
  INVALID_REQUEST: row(42, false, true, 'The request contradicts itself or the protocol.'),
  OPERATION_NOT_ATTEMPTED: row(
    55,
    true,
    true,
    'The change was not tried because another one of the same batch failed.',
  ),
  POLICY_VIOLATION: row(44, false, true, 'The settings of the topic do not allow this.'),
  STORAGE_ERROR: row(56, true, false, 'The disk of this broker failed.'),
  REASSIGNMENT_IN_PROGRESS: row(60, false, true, 'The replicas of the partition are being moved.'),
  FETCH_SESSION_ID_NOT_FOUND: row(
    70,
    true,
    true,
    'The broker knows no such fetch session on this connection.',
  ),
  INVALID_FETCH_SESSION_EPOCH: row(71, true, true, 'The fetch is not the next one of its session.'),
  FENCED_LEADER_EPOCH: row(
    74,
    true,
    true,
    'The leader epoch in the request is older than the one of this broker.',
  ),
  UNKNOWN_LEADER_EPOCH: row(
    75,
    true,
    true,
    'The leader epoch in the request is newer than the one of this broker.',
  ),
  UNSUPPORTED_COMPRESSION_TYPE: row(
    76,
    false,
    true,
    'The records are compressed in a way this process cannot undo.',
  ),
  STALE_BROKER_EPOCH: row(77, false, true, 'The broker epoch in the request is not the current one.'),
  OFFSET_NOT_AVAILABLE: row(78, true, true, 'The offset is not committed yet; try again.'),
  PREFERRED_LEADER_NOT_AVAILABLE: row(80, false, true, 'The preferred replica is not in sync or not alive.'),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: row(
    83,
    false,
    true,
    'No replica that may be elected is alive, or the wanted one may not be.',
  ),
  ELECTION_NOT_NEEDED: row(84, false, true, 'The partition has a leader.'),
  NO_REASSIGNMENT_IN_PROGRESS: row(85, false, true, 'The replicas of the partition are not being moved.'),
  INVALID_RECORD: row(87, false, true, 'A record batch breaks a rule of the format.'),
  INVALID_UPDATE_VERSION: row(95, false, true, 'The partition epoch in the request is not the current one.'),
  SNAPSHOT_NOT_FOUND: row(98, true, true, 'The controller has a newer snapshot of the metadata.'),
  POSITION_OUT_OF_RANGE: row(99, false, true, 'The position is beyond the end of the snapshot.'),
  UNKNOWN_TOPIC_ID: row(100, true, true, 'This broker does not know the topic id.'),
  DUPLICATE_BROKER_REGISTRATION: row(
    101,
    true,
    true,
    'Another live process is registered under this broker id.',
  ),
  BROKER_ID_NOT_REGISTERED: row(102, false, true, 'The broker is not registered.'),
  INCONSISTENT_CLUSTER_ID: row(104, false, true, 'The node belongs to another cluster.'),
  INELIGIBLE_REPLICA: row(
    107,
    true,
    true,
    'A replica of the proposed in-sync set is fenced, unknown or restarted.',
  ),
  NEW_LEADER_ELECTED: row(108, true, true, 'The change made another broker the leader.'),
  DUPLICATE_VOTER: row(126, false, true, 'The node is a voter of the controller quorum already.'),
  VOTER_NOT_FOUND: row(127, false, true, 'No voter of the controller quorum has this node and directory id.'),
  // Ours.
  PROTOCOL_VIOLATION: row(1000, false, true, 'The bytes received are not a valid message.'),
  AUTHENTICATION_FAILED: row(1001, false, true, 'The proof of the cluster secret is wrong.'),
  SERVER_BUSY: row(1002, true, true, 'A queue of the server is full; try again.'),
  BROKER_FENCED: row(1003, true, true, 'The broker is starting or fenced and serves nothing yet.'),
  SHUTTING_DOWN: row(1004, true, true, 'The node is stopping.'),
  DISK_FULL: row(1005, true, true, 'The disk of this broker is too full to take records.'),
  VOTER_NOT_READY: row(
    1006,
    true,
    true,
    'The node does not follow the controller quorum closely enough to vote.',
  ),
  QUORUM_AT_RISK: row(1007, false, true, 'Too few of the voters that would be left answer.'),
  // Made by the client itself; they never travel.
  CONNECTION_FAILED: row(1100, true, true, 'No connection could be made.'),
  CONNECTION_LOST: row(1101, true, false, 'The connection broke while the request was under way.'),
  DELIVERY_TIMEOUT: row(1102, false, true, 'delivery.timeout.ms passed before the record was acknowledged.'),
  BOOTSTRAP_UNREACHABLE: row(1103, true, true, 'None of the bootstrap servers answered.'),
  RECORD_TOO_LARGE: row(1104, false, true, 'The record is larger than max.message.bytes allows.'),
  BUFFER_FULL: row(1105, true, true, 'buffer.memory is used up and max.block.ms passed.'),
  CLOSED: row(1106, false, true, 'The client is closed.'),
  INVALID_ARGUMENT: row(1107, false, true, 'An argument is not allowed.'),
  LOG_TRUNCATED: row(1108, false, true, 'The log lost records in front of the position of a consumer.'),
} as const satisfies Record<string, ErrorRow>

export type ErrorName = keyof typeof ERRORS

const nameByCode: ReadonlyMap<number, ErrorName> = new Map(
  (Object.keys(ERRORS) as ErrorName[]).map((name) => [ERRORS[name].code, name]),
)

/** The name of a code from the wire; an unknown one (a newer server's) is UNKNOWN_SERVER_ERROR. */
export function errorNameOf(code: number): ErrorName {
  return nameByCode.get(code) ?? 'UNKNOWN_SERVER_ERROR'
}
