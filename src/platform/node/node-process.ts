import { readFileSync, writeSync } from 'node:fs'
import { inspect } from 'node:util'
import type { Process, ProcessIdentity } from '../../base/process.ts'

export interface NodeProcessOptions {
  /** Ends the process; `process.exit` by default. */
  readonly exit?: (code: number) => void
  /** Writes the last words synchronously; to stderr by default. */
  readonly writeError?: (text: string) => void
  /** Where the proc file system is mounted. Default /proc. */
  readonly procDirectory?: string
}

/** Stands in an identity where the system does not tell. */
const UNKNOWN = ''

/** Positions in the fields behind the command name, of which the first, the state, is field 3 of proc_pid_stat(5). */
const STATE_FIELD = 0
const START_TIME_FIELD = 22 - 3

/**
 * This process and its neighbours, as Linux tells them: the boot id of the kernel, and the start time of a process in
 * clock ticks since the boot, which tells a process from a later one with the same pid. Neither is known without a
 * proc file system (macOS, Windows): then a process counts as running whenever its pid is in use, so that a stale lock
 * can look held after its pid was given away again. In containers pids are those of the own pid namespace; processes
 * of other containers cannot be seen.
 */
export function createNodeProcess(options: NodeProcessOptions = {}): Process {
  const { exit = (code) => process.exit(code), writeError = writeToStderr, procDirectory = '/proc' } = options
  const identity = readProcessIdentity(process.pid, procDirectory)
  const hasProc = identity.bootId !== UNKNOWN && identity.startTime !== UNKNOWN
  return {
    identity,
    isRunning(other) {
      if (!hasProc || other.bootId === UNKNOWN) return isPidInUse(other.pid)
      return other.bootId === identity.bootId && startTimeOf(other.pid, procDirectory) === other.startTime
    },
    fail(reason, error) {
      writeError(`vltava: fatal: ${reason}\n${inspect(error)}\n`)
      exit(1)
    },
  }
}

/**
 * The identity of any process, such as one just started, for a later `isRunning`.
 * @param pid of a process that runs; of one that has ended, the identity counts as not running where there is a /proc.
 */
export function readProcessIdentity(pid: number, procDirectory = '/proc'): ProcessIdentity {
  const bootId = readText(`${procDirectory}/sys/kernel/random/boot_id`)?.trim() ?? UNKNOWN
  return { bootId, pid, startTime: startTimeOf(pid, procDirectory) ?? UNKNOWN }
}

function startTimeOf(pid: number, procDirectory: string): string | null {
  const stat = readText(`${procDirectory}/${pid}/stat`)
  return stat === null ? null : runningSince(stat)
}

/**
 * The start time in the text of /proc/<pid>/stat; null for a process that ended and only waits to be reaped, as many do
 * in containers whose first process never reaps. The command name may hold spaces and parentheses, so the fields are
 * counted from the last ')'.
 */
function runningSince(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[STATE_FIELD]
  return state === 'Z' || state === 'X' ? null : (fields[START_TIME_FIELD] ?? null)
}

function isPidInUse(pid: number): boolean {
  try {
    // Signal 0 is not sent; only the check is made.
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs under another user. ESRCH: there is none.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function writeToStderr(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // A closed or full stderr must not keep the process from ending.
  }
}
