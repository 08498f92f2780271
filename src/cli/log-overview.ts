import type { DirectoryOverview, LogOverview } from '../storage/directory-overview.ts'
import { smallFileAsText } from './log-small-file.ts'
import { byteSize, columns, plural } from './output.ts'

/** A data directory in a line for each log, a single log in a line for each segment. */
export function overviewAsText(overview: DirectoryOverview): string {
  const { path, isDataDirectory, smallFiles, logs, foreign } = overview
  const parts = [isDataDirectory ? `data directory ${path}` : `log ${path}`]
  // Checkpoints name every log; the table below has what they say.
  const told = smallFiles.filter(({ name }) => name !== 'recovery-points' && name !== 'high-watermarks')
  if (told.length > 0) parts.push(told.map(({ name, content }) => smallFileAsText(name, content)).join('\n'))
  if (isDataDirectory) parts.push(logsAsText(logs))
  else parts.push(...logs.map(logAsText))
  if (foreign.length > 0) parts.push(`left alone, as they are nothing of Vltava's:\n${foreign.join('\n')}`)
  return parts.join('\n\n')
}

function logsAsText(logs: readonly LogOverview[]): string {
  if (logs.length === 0) return 'no logs'
  const header = ['LOG', 'SEGMENTS', 'START', 'FLUSHED BELOW', 'HIGH WATERMARK', 'SIZE']
  const rows = logs.map(({ key, directory, segments, recoveryPoint, highWatermark }) => [
    key ?? directory,
    String(segments.length),
    String(segments[0]?.baseOffset ?? '-'),
    String(recoveryPoint ?? '-'),
    String(highWatermark ?? '-'),
    byteSize(totalBytes(segments)),
  ])
  return columns([header, ...rows])
}

function logAsText({ segments, recoveryPoint, highWatermark, smallFiles }: LogOverview): string {
  const header = ['BASE OFFSET', 'SIZE', 'OFFSET ENTRIES', 'TIME ENTRIES']
  const rows = segments.map(({ baseOffset, sizeBytes, offsetEntries, timeEntries }) => [
    String(baseOffset),
    byteSize(sizeBytes),
    offsetEntries === null ? '-' : String(offsetEntries),
    timeEntries === null ? '-' : String(timeEntries),
  ])
  const marks = `flushed below ${recoveryPoint ?? 'unknown'}, high watermark ${highWatermark ?? 'unknown'}`
  const files = smallFiles.map(({ name, content }) => smallFileAsText(name, content))
  return [
    `${plural(segments.length, 'segment')}, ${byteSize(totalBytes(segments))}; ${marks}`,
    ...files,
    columns([header, ...rows]),
  ].join('\n')
}

function totalBytes(segments: LogOverview['segments']): number {
  return segments.reduce((bytes, segment) => bytes + segment.sizeBytes, 0)
}
