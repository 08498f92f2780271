import type { Terminal } from './terminal.ts'

const INTERVAL_MS = 500

/** One line on a terminal that is written over as things move on; nothing where stderr is no terminal. */
export class ProgressLine {
  readonly #terminal: Terminal
  readonly #timer: NodeJS.Timeout | null = null
  #width = 0

  constructor(terminal: Terminal, text: () => string) {
    this.#terminal = terminal
    if (!terminal.isErrorTty) return
    this.#timer = setInterval(() => this.#show(text()), INTERVAL_MS)
    this.#timer.unref()
  }

  /** Takes the line away. */
  end(): void {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#show('')
    this.#terminal.stderr.write('\r')
  }

  #show(text: string): void {
    this.#terminal.stderr.write(`\r${text.padEnd(this.#width)}`)
    this.#width = text.length
  }
}
