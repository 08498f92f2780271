// Every bound that is not a setting, in one place, with its unit, its reason and its relation to the others.
import { assert } from '../base/assert.ts'

/** Bytes of a frame header (msgpack) before a connection proved who it is. */
export const HEADER_UNAUTHENTICATED_MAX_BYTES = 64 * 1024
/** Bytes of a frame header afterwards: metadata of 10,000 partitions fits. */
export const HEADER_MAX_BYTES = 4 * 1024 * 1024
/** Bytes of one whole message before the connection said hello: its header, the length before it, no payload. */
export const MESSAGE_UNAUTHENTICATED_MAX_BYTES = HEADER_UNAUTHENTICATED_MAX_BYTES + 4
/** Bytes of one whole message. A produce or fetch of 16 MiB of batches plus its header fits. */
export const MESSAGE_MAX_BYTES = 24 * 1024 * 1024
/** Bytes of record batches in one fetch response (Kafka's fetch.max.bytes is 50 MiB; ours keeps frames short). */
export const FETCH_RESPONSE_MAX_BYTES = 16 * 1024 * 1024
/** Nesting of msgpack arrays in a header; the deepest schema has 8. */
export const HEADER_DEPTH_MAX = 16
/** Values in one header, nested ones included: metadata of 10,000 partitions has about 200,000. */
export const HEADER_ELEMENTS_MAX = 2 ** 20
/** Fragments of one WebSocket message. */
export const FRAGMENTS_MAX = 64
/** Socket reads one unfinished WebSocket message may take: MESSAGE_MAX_BYTES in TCP segments of 1,400 bytes. */
export const BUFFERED_CHUNKS_MAX = 18_000
/** Requests a connection may have under way in one direction; the next one is refused. */
export const REQUESTS_IN_FLIGHT_MAX = 1024
/** Bytes queued for sending on one connection before it is closed as a reader that does not read. */
export const OUTPUT_BUFFER_MAX_BYTES = 64 * 1024 * 1024
/** Milliseconds a new connection has for its hello, and a node that claims to be a peer for its proof. */
export const HELLO_TIMEOUT_MS = 5_000
/** Bytes of the shared secret of a cluster, at least: below 128 bits it could be guessed offline from one handshake. */
export const CLUSTER_SECRET_MIN_BYTES = 16
/** Connections one listener serves at a time; Node needs about 20 KiB for each idle one. */
export const CONNECTIONS_MAX = 10_000
/** Milliseconds between two looks at whether the other end of a connection is alive. */
export const KEEPALIVE_INTERVAL_MS = 5_000
/** Milliseconds without any sign of life after which a connection is dead; three pings fit. */
export const KEEPALIVE_TIMEOUT_MS = 15_000
/** Bytes of an unfinished message that must arrive in each keepalive interval; 13 KB/s, a tenth of a poor phone link. */
export const UNFINISHED_MESSAGE_PROGRESS_BYTES = 64 * 1024
/** Milliseconds a WebSocket waits for the other end's close frame before it drops the socket. */
export const CLOSE_TIMEOUT_MS = 2_000
/** Milliseconds an HTTP request (the WebSocket handshake too) has for its header lines, and for all of it. */
export const HTTP_REQUEST_TIMEOUT_MS = 5_000
/** Bytes of the header lines of an HTTP request, and their number. */
export const HTTP_HEADER_MAX_BYTES = 16 * 1024
export const HTTP_HEADERS_MAX = 100
/** Characters of a topic name (Kafka's rule). */
export const TOPIC_NAME_MAX_CHARACTERS = 249
/** Characters of the name of a rack: as many as of a topic, and a line of a table shows it. */
export const RACK_MAX_CHARACTERS = 249
/** Partitions one create request may make. */
export const PARTITIONS_PER_TOPIC_MAX = 10_000
/**
 * Replicas on one broker. Fencing it changes each of them in one metadata batch, which must fit into one Raft entry of
 * 2 MiB: about 100 bytes each with a replication factor of 3.
 */
export const REPLICAS_PER_BROKER_MAX = 10_000
/**
 * Deleted topics that the metadata remembers, 1 MB of them. A broker that stays away while more topics than that are
 * deleted keeps the files of the oldest.
 */
export const DELETED_TOPICS_MAX = 10_000
/** Bytes of a snapshot of the metadata: what a node collects before it looks inside. 200 for each of 2 million partitions. */
export const METADATA_SNAPSHOT_MAX_BYTES = 512 * 1024 * 1024
/** Replicas of one partition. */
export const REPLICAS_MAX = 64
/** Voters of the controller quorum. */
export const VOTERS_MAX = 9
/** Members of the controller quorum in one answer: voters, disks of voters that were replaced, and followers without a vote. */
export const QUORUM_MEMBERS_MAX = 64
/** Nodes of one cluster. */
export const NODES_MAX = 1_000
/** Logs in one heartbeat whose end was cut off at the start of a broker: after a power loss all of them can be. */
export const DROPPED_TAILS_MAX = 80_000
/** Partitions in one produce, fetch or list-offsets request. */
export const PARTITIONS_PER_REQUEST_MAX = 10_000
/** Fetch sessions of one connection; a peer needs one, a client one for each consumer. More go without. */
export const FETCH_SESSIONS_PER_CONNECTION_MAX = 64
/** Partitions of one fetch session; whoever reads more of one broker goes without. A broker hosts no more. */
export const FETCH_SESSION_PARTITIONS_MAX = 10_000
/** Partitions in all fetch sessions of clients at one broker, about 300 bytes each; clients beyond go without. */
export const FETCH_SESSION_PARTITIONS_PER_BROKER_MAX = 200_000
/** Requests of one fetch session that wait for their turn; a reader has two under way at most. */
export const FETCH_SESSION_REQUESTS_MAX = 4
/** Topics in one request. */
export const TOPICS_PER_REQUEST_MAX = 1_000
/** Bytes of a record batch that no setting can exceed; it bounds buffers while framing is read. */
export const BATCH_ABSOLUTE_MAX_BYTES = 8 * 1024 * 1024
/** Default of max.message.bytes: 1 MiB and the 12 bytes before Kafka's batch length (Kafka's value). */
export const MAX_MESSAGE_BYTES_DEFAULT = 1_048_588
/** A longer key is never compacted: its records all stay. The memory for the keys must hold any one that is. */
export const COMPACTION_KEY_MAX_BYTES = 64 * 1024

assert(
  FETCH_RESPONSE_MAX_BYTES + HEADER_MAX_BYTES <= MESSAGE_MAX_BYTES,
  'a fetch response must fit into a message',
)
assert(
  BATCH_ABSOLUTE_MAX_BYTES <= FETCH_RESPONSE_MAX_BYTES,
  'the largest batch must fit into a fetch response',
)
assert(HEADER_UNAUTHENTICATED_MAX_BYTES <= HEADER_MAX_BYTES, 'authentication must not lower the header limit')
assert(
  MESSAGE_MAX_BYTES <= OUTPUT_BUFFER_MAX_BYTES,
  'the largest message must fit into an output buffer that is empty',
)
assert(
  BUFFERED_CHUNKS_MAX * 1_400 >= MESSAGE_MAX_BYTES,
  'the largest message must fit into the chunks allowed',
)
assert(
  FETCH_SESSION_PARTITIONS_MAX <= PARTITIONS_PER_REQUEST_MAX,
  'a session must begin with one request, and an answer must be able to be about all of it',
)
assert(2 * KEEPALIVE_INTERVAL_MS < KEEPALIVE_TIMEOUT_MS, 'a lost ping must not end a connection')
