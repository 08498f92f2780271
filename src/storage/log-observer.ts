import type { Offset } from '../model/ids.ts'

/** Told synchronously, after the log itself says the same. Must not throw. */
export interface LogObserver {
  /** @param endOffset exclusive: the log end offset. */
  onWritten?(endOffset: Offset): void
  /** @param flushedOffset exclusive. */
  onFlushed?(flushedOffset: Offset): void
  /** @param startOffset the log start offset, durable. */
  onStartMoved?(startOffset: Offset): void
  /** What is known to be damaged has changed: `health` says what. */
  onDamaged?(): void
}
