/** The broker gives up this part earlier than the client, so that its answer, which says why, still arrives. */
const BROKER_TIMEOUT_PART = 0.9

/** How long a broker may work on a request whose answer the client awaits for `timeoutMs`. In whole milliseconds. */
export function brokerTimeoutMs(timeoutMs: number): number {
  return Math.floor(timeoutMs * BROKER_TIMEOUT_PART)
}
