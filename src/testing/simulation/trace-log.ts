import type { Log, LogFields } from '../../base/log.ts'

export interface TraceLogOptions {
  readonly name: string
  readonly onLine: (line: string) => void
  /** Called with the name of every event. */
  readonly onEvent: (event: string) => void
  /** Called with the whole text of `error` events. */
  readonly onError: (text: string) => void
}

/** The log of a simulated process: every event becomes a line of the trace, in the same words each time. */
export class TraceLog implements Log {
  readonly #options: TraceLogOptions
  readonly #fields: LogFields

  constructor(options: TraceLogOptions, fields: LogFields = {}) {
    this.#options = options
    this.#fields = fields
  }

  /** The least of it is of use to nobody, and there is much of it. */
  debug(): void {}

  info(event: string, fields: LogFields = {}): void {
    this.#write('info', event, fields)
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#write('warn', event, fields)
  }

  error(event: string, fields: LogFields = {}): void {
    this.#options.onError(this.#write('error', event, fields))
  }

  child(fields: LogFields): Log {
    return new TraceLog(this.#options, { ...this.#fields, ...fields })
  }

  #write(level: string, event: string, fields: LogFields): string {
    const text = `${event} ${showFields({ ...this.#fields, ...fields })}`
    this.#options.onEvent(event)
    this.#options.onLine(`${this.#options.name} ${level} ${text}`)
    return text
  }
}

/** Fields as text. Of an error its words only: a stack names lines of the source. */
export function showFields(fields: LogFields): string {
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        `${name}=${value instanceof Error ? String(value) : (JSON.stringify(value) ?? 'undefined')}`,
    )
    .join(' ')
}
