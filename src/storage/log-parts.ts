// The parts of one log, wired to each other. Each gets a literal of just what it needs: an object of two spreads has a hidden
// class of its own, some 500 bytes, and a broker can have ten thousand logs.
import type { Offset } from '../model/ids.ts'
import { Flusher } from './flusher.ts'
import { HotTail } from './hot-tail.ts'
import { LogCompaction } from './log-compaction.ts'
import { LogHealth } from './log-health.ts'
import { LogReads } from './log-reads.ts'
import { LogRepair } from './log-repair.ts'
import { LogTrim } from './log-trim.ts'
import type { TruncatedLog } from './log-truncation.ts'
import { LogWriter } from './log-writer.ts'
import type { PartitionLogOptions } from './partition-log-options.ts'
import { RetainedSegments } from './retained-segments.ts'

export interface LogParts {
  readonly flusher: Flusher
  readonly writer: LogWriter
  readonly trim: LogTrim
  readonly health: LogHealth
  readonly reads: LogReads
  readonly repair: LogRepair
  readonly compaction: LogCompaction
  readonly retained: RetainedSegments
  readonly truncated: TruncatedLog
}

export function wireParts(options: PartitionLogOptions): LogParts {
  const { segments, segmentContext, epochs, failure, log, observer, compaction: marks } = options
  const { cpu, file, ranges, endLost, tailDropped } = options.health
  const tail = new HotTail(options.budget)
  const flusher = newFlusher(options)
  const writer = newWriter(options, { flusher, tail })
  const trim: LogTrim = new LogTrim({
    segments,
    segmentContext,
    writer,
    epochs,
    checkpoint: options.checkpoint,
    removals: options.removals,
    log,
    startOffset: options.startOffset,
    onRemoved: () => reads.changed(),
    onMoved: (startOffset) => {
      health.trimmed(startOffset)
      observer.onStartMoved?.(startOffset)
    },
  })
  const startsAt = (): Offset => trim.readableFrom
  const found = { segments, epochs, cpu, log, file, ranges, endLost, tailDropped, startsAt, observer }
  const health = new LogHealth(found)
  const { topicId, partition, lowerRecoveryPoint } = options
  const reads = new LogReads({ topicId, partition, segments, tail, writer, trim, health })
  const onReplace = (): void => {
    reads.changed()
    health.segmentsReplaced()
  }
  const repair = new LogRepair({ segments, segmentContext, epochs, marks, writer, health, cpu })
  const compacted = { segments, segmentContext, marks, tail, writer, health, epochs, failure, onReplace }
  const compaction = new LogCompaction(compacted)
  const retained = new RetainedSegments(options)
  const cut = { segments, segmentContext, writer, flusher, tail, epochs, trim, failure, health, marks }
  const truncated = Object.assign(cut, { lowerRecoveryPoint })
  return { flusher, writer, trim, health, reads, repair, compaction, retained, truncated }
}

function newFlusher({ failure, segments, observer }: PartitionLogOptions): Flusher {
  return new Flusher({
    failure,
    endOffset: segments.active.endOffset,
    sync: (onStart) => segments.active.active.handle.syncInTurn(onStart),
    onFlushed: (flushedOffset) => observer.onFlushed?.(flushedOffset),
  })
}

function newWriter(
  options: PartitionLogOptions,
  { flusher, tail }: { readonly flusher: Flusher; readonly tail: HotTail },
): LogWriter {
  const { segments, segmentContext, epochs, failure, settings, clock, log, room, observer } = options
  const onWritten = (endOffset: Offset): void => observer.onWritten?.(endOffset)
  const writes = { segments, segmentContext, flusher, epochs, tail, failure, settings, clock, log, room }
  return new LogWriter(Object.assign(writes, { onWritten }))
}
