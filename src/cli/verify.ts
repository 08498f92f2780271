// vltava verify: judges what clients did and saw.
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { type CheckedHistory, checkHistory, type HistoryStatistics } from '../history/check-history.ts'
import { CHECK_NAMES, CHECKS, type CheckName, type Finding } from '../history/finding.ts'
import { type HistoryFile, HistoryParser } from '../history/history-file.ts'
import { columns, count, plural, seconds } from './output.ts'
import { EXIT, type RunAction, say, type Terminal, UsageError, write } from './terminal.ts'
import { parseInteger } from './text-options.ts'

const FINDINGS_SHOWN = 20

interface VerifyOptions {
  readonly allow?: string
  readonly forbid?: string
  readonly allowTornTail?: boolean
  readonly wwEdges?: boolean
  readonly finalLagMs?: string
  readonly json?: boolean
}

export function addVerifyCommand(program: Command, terminal: Terminal, run: RunAction): void {
  program
    .command('verify <history>')
    .description('check a recorded history of clients for lost, repeated, reordered and invented records')
    .option('--allow <names>', 'findings that are no errors, separated by commas: duplicate,poll-skip')
    .option('--forbid <names>', 'findings that are errors although they are allowed otherwise')
    .option('--allow-torn-tail', 'leave out a last line that was cut off while it was written')
    .option('--ww-edges', 'use the order of writes in the search for cycles')
    .option('--final-lag-ms <ms>', 'how late a poll of the final phase may be')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `\n<history> is a file of JSON lines, or - for standard input. Exit code: 0 nothing found, 1 errors found, 2 unreadable.\nNames of findings: ${CHECK_NAMES.join(', ')}.`,
    )
    .action((path: string, options: VerifyOptions) => run(() => verify(path, options, terminal)))
}

async function verify(path: string, options: VerifyOptions, terminal: Terminal): Promise<number> {
  const rules = {
    allowed: namesOf(options.allow, '--allow'),
    forbidden: namesOf(options.forbid, '--forbid'),
    wwEdges: options.wwEdges === true,
    ...(options.finalLagMs === undefined ? {} : { finalLagMaxMs: lagOf(options.finalLagMs) }),
  }
  const source = path === '-' ? terminal.stdin : createReadStream(path)
  const file = await readHistory(source, { path, allowTornTail: options.allowTornTail === true, terminal })
  const checked = checkHistory(file.events, rules)
  const text = options.json === true ? asJson(file, checked) : asText(checked)
  if (file.tornLine !== null) say(terminal, `Line ${file.tornLine} was cut off and is left out.`)
  await write(terminal.stdout, text)
  return checked.valid ? EXIT.done : EXIT.failed
}

function namesOf(list: string | undefined, option: string): readonly CheckName[] {
  if (list === undefined) return []
  return list.split(',').map((part) => {
    const name = CHECK_NAMES.find((other) => other === part.trim())
    if (name !== undefined) return name
    throw new UsageError(
      `${option}: must be names of findings, separated by commas, got ${JSON.stringify(part)}; there are ${CHECK_NAMES.join(', ')}`,
    )
  })
}

function lagOf(text: string): number {
  return parseInteger(text, { option: '--final-lag-ms', min: 0, max: 86_400_000 })
}

async function readHistory(
  source: Readable,
  options: { readonly path: string; readonly allowTornTail: boolean; readonly terminal: Terminal },
): Promise<HistoryFile> {
  const { path, allowTornTail, terminal } = options
  const parser = new HistoryParser({ allowTornTail })
  const decoder = new TextDecoder()
  terminal.interrupted.addEventListener('abort', () => source.destroy(), { once: true })
  try {
    for await (const chunk of source) parser.push(decoder.decode(chunk as Uint8Array, { stream: true }))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'syscall' in thrown)) throw thrown
    throw new UsageError(`${path}: cannot be read: ${thrown.message}`)
  }
  // What was read until then must not be taken for the whole.
  terminal.interrupted.throwIfAborted()
  parser.push(decoder.decode())
  return parser.finish()
}

function asJson(file: HistoryFile, checked: CheckedHistory): string {
  const { valid, findings, counts, statistics } = checked
  const { tornLine } = file
  return `${JSON.stringify({ valid, statistics, counts: Object.fromEntries(counts), findings, tornLine })}\n`
}

function asText({ valid, findings, counts, statistics }: CheckedHistory): string {
  const parts = [summaryOf(statistics)]
  const errors = findings.filter(({ isAllowed }) => !isAllowed)
  if (errors.length > 0) parts.push(errors.slice(0, FINDINGS_SHOWN).map(inWords).join('\n'))
  const rows = [...counts].map(([name, { errors: wrong, allowed }]) => [
    CHECKS[name],
    name,
    [
      ...(wrong > 0 ? [plural(wrong, 'error')] : []),
      ...(allowed > 0 ? [`${count(allowed)} allowed`] : []),
    ].join(', '),
  ])
  if (rows.length > 0) parts.push(columns(rows))
  const hidden = errors.length - FINDINGS_SHOWN
  if (hidden > 0) parts.push(`The first ${FINDINGS_SHOWN} errors are shown; --json has more of them.`)
  parts.push(
    valid ? 'Nothing is wrong with this history.' : 'This history is not what a correct log would show.',
  )
  return `${parts.join('\n\n')}\n`
}

function summaryOf(statistics: HistoryStatistics): string {
  const { operations, processes, keys, durationMs } = statistics
  const { sent, acknowledged, failed, indefinite, read, unread, open, worstLagMs } = statistics
  const lines = [
    `${plural(operations, 'operation')} of ${count(processes)} ${processes === 1 ? 'process' : 'processes'} on ${plural(keys, 'key')} in ${seconds(durationMs)}`,
    `sent ${count(sent)}: ${count(acknowledged)} acknowledged, ${count(failed)} failed for sure, ${count(indefinite)} unknown`,
    `read ${count(read)}; ${count(unread)} acknowledged and not read; readers were behind by ${seconds(worstLagMs)} at most`,
  ]
  if (open > 0) lines.push(`${plural(open, 'operation')} never ended`)
  return lines.join('\n')
}

function inWords({ check, name, message }: Finding): string {
  return `${check} ${name}: ${message}`
}
