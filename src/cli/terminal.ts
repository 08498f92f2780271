// What a command sees of the world: streams, environment, signals. Data goes to stdout, everything else to stderr.
import type { Readable, Writable } from 'node:stream'

export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  readonly isErrorTty: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts on the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly interrupted: AbortSignal
  /** Becomes true when the reader of stdout has gone (`vltava consume t | head`). */
  isOutputClosed(): boolean
}

/** Runs what a command does and keeps the exit code it returns. */
export type RunAction = (action: () => Promise<number>) => Promise<void>

/** Exit codes of all commands. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Wrong use of a command: exit 2. The message says what was wrong, what is allowed and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Writes and waits while the reader is slower than we are. Resolves also when the reader has gone. */
export function write(stream: Writable, data: string | Uint8Array): Promise<void> {
  if (stream.destroyed || stream.write(data)) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done)
      stream.off('close', done)
      stream.off('error', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
    stream.on('error', done)
  })
}

/** A line for the person at the terminal. */
export function say(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`)
}

/** Makes the terminal of the real process. */
export function processTerminal(): Terminal {
  const controller = new AbortController()
  let outputClosed = false
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  // A closed pipe is how `head` says "enough": not an error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    outputClosed = true
    controller.abort()
  })
  process.stderr.on('error', () => {})
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    isErrorTty: process.stderr.isTTY === true,
    env: process.env,
    interrupted: controller.signal,
    isOutputClosed: () => outputClosed,
  }
}
