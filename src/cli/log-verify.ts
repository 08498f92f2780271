// vltava log verify: whether everything in a data directory is as it was written.
import { resolve } from 'node:path'
import { silentLog } from '../base/log.ts'
import { createNodeEnvironment } from '../server/node-environment.ts'
import { type VerifyProgress, type VerifyReport, verifyDirectory } from '../storage/directory-verifier.ts'
import type { Finding, Severity } from '../storage/findings.ts'
import { explainingAccess } from './log-access.ts'
import { byteSize, plural } from './output.ts'
import { ProgressLine } from './progress-line.ts'
import { EXIT, type Terminal, write } from './terminal.ts'

export interface LogVerifyOptions {
  readonly json?: boolean
}

const FINDINGS_SHOWN = 100
const LABELS: Readonly<Record<Severity, string>> = { damage: 'DAMAGE', warning: 'warning', note: 'note' }

export async function verifyLogs(
  path: string,
  options: LogVerifyOptions,
  terminal: Terminal,
): Promise<number> {
  const progress: VerifyProgress = { logs: 0, segments: 0, batches: 0, records: 0, bytes: 0 }
  const line = new ProgressLine(
    terminal,
    () => `${plural(progress.logs, 'log')} and ${byteSize(progress.bytes)} checked`,
  )
  const { fileSystem, cpu, process } = createNodeEnvironment(silentLog)
  let report: VerifyReport
  try {
    report = await explainingAccess(path, () =>
      verifyDirectory({
        fileSystem,
        cpu,
        process,
        path: resolve(path),
        signal: terminal.interrupted,
        progress,
      }),
    )
  } finally {
    line.end()
  }
  await write(terminal.stdout, options.json === true ? `${JSON.stringify(report)}\n` : asText(report))
  return report.counts.damage === 0 ? EXIT.done : EXIT.failed
}

function asText({ path, inUseBy, checked, counts, findings }: VerifyReport): string {
  const { logs, segments, batches, records, bytes } = checked
  const parts = [
    `${path}: ${plural(logs, 'log')}, ${plural(segments, 'segment')}, ${batches === 1 ? '1 batch' : `${plural(batches, 'batche')}`}, ${plural(records, 'offset')}, ${byteSize(bytes)}`,
  ]
  if (inUseBy !== null) {
    parts.push(`The process ${inUseBy} uses the directory: the ends of its logs may be in flight.`)
  }
  // Damage first, so that it is among those that are shown.
  const ordered = (['damage', 'warning', 'note'] as const).flatMap((severity) =>
    findings.filter((finding) => finding.severity === severity),
  )
  if (ordered.length > 0) parts.push(ordered.slice(0, FINDINGS_SHOWN).map(inWords).join('\n'))
  const total = counts.damage + counts.warning + counts.note
  if (total > FINDINGS_SHOWN) parts.push(`${FINDINGS_SHOWN} of ${total} findings are shown; --json has more.`)
  parts.push(verdictOf(counts))
  return `${parts.join('\n\n')}\n`
}

function inWords({ severity, path, position, offset, what, advice }: Finding): string {
  const places = [
    ...(position === null ? [] : [`position ${position}`]),
    ...(offset === null ? [] : [`offset ${offset}`]),
  ]
  const place = places.length === 0 ? path : `${path}, ${places.join(', ')}`
  return `${LABELS[severity]}  ${place}: ${what}.${advice === null ? '' : `\n    ${advice}`}`
}

function verdictOf({ damage, warning, note }: VerifyReport['counts']): string {
  const rest = [
    ...(warning > 0 ? [plural(warning, 'warning')] : []),
    ...(note > 0 ? [plural(note, 'note')] : []),
  ].join(' and ')
  if (damage > 0) {
    const found = damage === 1 ? '1 place is damaged' : `${damage} places are damaged`
    return `${found}${rest === '' ? '' : `; ${rest}`}.`
  }
  return rest === '' ? 'Nothing is damaged.' : `Nothing is damaged; ${rest}.`
}
