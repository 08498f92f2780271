// Every bound that is not a setting, in one place, with its unit, its reason and its relation to the others.
import { assert } from '../base/assert.ts'

/** Bytes of a frame header (msgpack) before a connection proved who it is. */
export const HEADER_UNAUTHENTICATED_MAX_BYTES = 64 * 1024
/** Bytes of a frame header afterwards: metadata of 10,000 partitions fits. */
export const HEADER_MAX_BYTES = 4 * 1024 * 1024
/** Bytes of one whole message. A produce or fetch of 16 MiB of batches plus its header fits. */
export const MESSAGE_MAX_BYTES = 24 * 1024 * 1024
/** Bytes of record batches in one fetch response (Kafka's fetch.max.bytes is 50 MiB; ours keeps frames short). */
export const FETCH_RESPONSE_MAX_BYTES = 16 * 1024 * 1024
/** Nesting of msgpack arrays in a header; the deepest schema has 8. */
export const HEADER_DEPTH_MAX = 16
/** Fragments of one WebSocket message. */
export const FRAGMENTS_MAX = 64
/** Requests a connection may have under way in one direction; the next one is refused. */
export const REQUESTS_IN_FLIGHT_MAX = 1024
/** Bytes queued for sending on one connection before it is closed as a reader that does not read. */
export const OUTPUT_BUFFER_MAX_BYTES = 64 * 1024 * 1024
/** Milliseconds a new connection has for its hello. */
export const HELLO_TIMEOUT_MS = 5_000
/** Characters of a topic name (Kafka's rule). */
export const TOPIC_NAME_MAX_CHARACTERS = 249
/** Partitions one create request may make. */
export const PARTITIONS_PER_TOPIC_MAX = 10_000
/** Replicas of one partition. */
export const REPLICAS_MAX = 64
/** Voters of the controller quorum. */
export const VOTERS_MAX = 9
/** Nodes of one cluster. */
export const NODES_MAX = 1_000
/** Partitions in one produce, fetch or list-offsets request. */
export const PARTITIONS_PER_REQUEST_MAX = 10_000
/** Topics in one request. */
export const TOPICS_PER_REQUEST_MAX = 1_000
/** Bytes of a record batch that no setting can exceed; it bounds buffers while framing is read. */
export const BATCH_ABSOLUTE_MAX_BYTES = 8 * 1024 * 1024
/** Default of max.message.bytes: 1 MiB and the 12 bytes before Kafka's batch length (Kafka's value). */
export const MAX_MESSAGE_BYTES_DEFAULT = 1_048_588

assert(
  FETCH_RESPONSE_MAX_BYTES + HEADER_MAX_BYTES <= MESSAGE_MAX_BYTES,
  'a fetch response must fit into a message',
)
assert(
  BATCH_ABSOLUTE_MAX_BYTES <= FETCH_RESPONSE_MAX_BYTES,
  'the largest batch must fit into a fetch response',
)
assert(HEADER_UNAUTHENTICATED_MAX_BYTES <= HEADER_MAX_BYTES, 'authentication must not lower the header limit')
