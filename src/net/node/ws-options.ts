import {
  BUFFERED_CHUNKS_MAX,
  CLOSE_TIMEOUT_MS,
  FRAGMENTS_MAX,
  MESSAGE_MAX_BYTES,
} from '../../model/limits.ts'

/** What ws is told on both sides (SEC-01). */
export const WS_OPTIONS = {
  // Record batches are compressed by the client where that pays; here it would cost CPU and open the door to bombs.
  perMessageDeflate: false,
  maxPayload: MESSAGE_MAX_BYTES,
  maxFragments: FRAGMENTS_MAX,
  maxBufferedChunks: BUFFERED_CHUNKS_MAX,
  // Text messages are refused anyway, and close reasons are reduced to ASCII.
  skipUTF8Validation: true,
  closeTimeout: CLOSE_TIMEOUT_MS,
} as const
