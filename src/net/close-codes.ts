// Why a connection ended, as the WebSocket close code. Only 1000 and 4000 to 4999 are ours to send: a browser refuses
// to send any other. 1001 to 1015 come from the WebSocket layer itself (1002 malformed frame, 1003 text message, 1008
// too many fragments, 1009 too large, 1006 the socket closed without a close frame).

export interface CloseCode {
  readonly code: number
  readonly meaning: string
  /** Whether dialling again, to the same node, makes sense. */
  readonly retriable: boolean
}

const row = (code: number, retriable: boolean, meaning: string): CloseCode => ({ code, meaning, retriable })

export const CLOSE_CODES = {
  NORMAL: row(1000, true, 'The side that closed has no further use for the connection.'),
  /** Never sent; what either side reports when no close frame came. */
  ABNORMAL: row(
    1006,
    true,
    'The socket closed without a close frame: a crash, a broken network, or an abort.',
  ),
  SHUTTING_DOWN: row(4000, true, 'The node is stopping.'),
  PROTOCOL_VIOLATION: row(4001, false, 'A message was no valid frame, or came where the protocol has none.'),
  HELLO_EXPECTED: row(4002, false, 'The first request was not hello.'),
  HELLO_TIMEOUT: row(
    4003,
    true,
    'The hello, or the proof of a node that claimed to be a peer, did not come in time.',
  ),
  REFUSED: row(
    4004,
    false,
    'The hello or the proof was refused; the error response before the close says why.',
  ),
  MESSAGE_TOO_LARGE: row(4005, false, 'A message exceeded what is allowed at this stage of the connection.'),
  OUTPUT_OVERFLOW: row(4006, true, 'The other side does not read what it asked for.'),
  /** Local only: the other side sees an aborted socket. */
  KEEPALIVE_TIMEOUT: row(4007, true, 'The other side gave no sign of life, or a message stopped half way.'),
} as const satisfies Record<string, CloseCode>

export type CloseCodeName = keyof typeof CLOSE_CODES
/** The codes that can stand in a close frame. */
export type SentCloseCodeName = Exclude<CloseCodeName, 'ABNORMAL'>

/** Bytes of the reason in a close frame (RFC 6455 section 5.5: 125 with the code). */
const REASON_MAX_BYTES = 123

/** A text as a close reason: printable ASCII only, so that characters are bytes, and cut to what a frame holds. */
export function closeReasonText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, REASON_MAX_BYTES)
}
