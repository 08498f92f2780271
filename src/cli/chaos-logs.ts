// Reads the logs of the nodes for what no fault explains (JEP-4): the faults of a chaos run kill, stop and disconnect
// nodes, and a node that is well made takes none of that for an error of its own.
import { existsSync, readFileSync } from 'node:fs'
import type { LocalNode } from './local-cluster.ts'

const SHOWN_MAX = 240

export interface LogProblem {
  readonly node: number
  /** Counts from 1. */
  readonly line: number
  readonly text: string
  /** How many more lines of this node tell of the same event. */
  readonly repeated: number
}

/** What is wrong in the logs of all nodes, each event of each node once. */
export function scanLogs(nodes: readonly LocalNode[]): readonly LogProblem[] {
  return nodes.flatMap(({ id, logFile }) =>
    existsSync(logFile) ? scanLog(id, readFileSync(logFile, 'utf8')) : [],
  )
}

/**
 * A problem is an event of level error or fatal, and any line that is no event: what Node prints before it dies of an
 * uncaught exception or an unhandled rejection, and the last words of a node that ended itself. A line that was torn
 * by a kill is none.
 */
export function scanLog(node: number, text: string): readonly LogProblem[] {
  const problems = new Map<string, { line: number; text: string; repeated: number }>()
  text.split('\n').forEach((line, i) => {
    const event = problemIn(line)
    if (event === null) return
    const known = problems.get(event)
    if (known === undefined) problems.set(event, { line: i + 1, text: shortened(line), repeated: 0 })
    else known.repeated++
  })
  return [...problems.values()].map((problem) => ({ node, ...problem }))
}

/** A name for what is wrong with a line; null where nothing is. */
function problemIn(line: string): string | null {
  const trimmed = line.trim()
  if (trimmed === '' || isStackFrame(trimmed)) return null
  if (!trimmed.startsWith('{')) return trimmed
  let parsed: { readonly level?: unknown; readonly event?: unknown }
  try {
    parsed = JSON.parse(trimmed) as typeof parsed
  } catch {
    // A single brace is how Node shows the fields of an error; anything longer is an event that a kill tore.
    return null
  }
  const { level, event } = parsed
  if (level !== 'error' && level !== 'fatal') return null
  return `${String(level)} ${String(event)}`
}

/** The line before it, which names the error, is a problem already. */
function isStackFrame(trimmed: string): boolean {
  return trimmed.startsWith('at ') || trimmed === '}'
}

function shortened(line: string): string {
  return line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX)}...` : line
}
