import type { Log, LogFields } from '../base/log.ts'

export interface LoggedEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly event: string
  /** With those of the child logs it went through; of two with one name the innermost wins. */
  readonly fields: LogFields
}

/** Keeps everything that is logged, by its children as well, in one list. */
export class RecordingLog implements Log {
  /** Oldest first. */
  readonly events: LoggedEvent[]
  readonly #fields: LogFields

  /** Tests call it without arguments; `child` passes on the list and the fields. */
  constructor(events: LoggedEvent[] = [], fields: LogFields = {}) {
    this.events = events
    this.#fields = fields
  }

  debug(event: string, fields?: LogFields): void {
    this.#record('debug', event, fields)
  }

  info(event: string, fields?: LogFields): void {
    this.#record('info', event, fields)
  }

  warn(event: string, fields?: LogFields): void {
    this.#record('warn', event, fields)
  }

  error(event: string, fields?: LogFields): void {
    this.#record('error', event, fields)
  }

  child(fields: LogFields): RecordingLog {
    return new RecordingLog(this.events, { ...this.#fields, ...fields })
  }

  /** The events of this name, oldest first. */
  named(event: string): readonly LoggedEvent[] {
    return this.events.filter((logged) => logged.event === event)
  }

  #record(level: LoggedEvent['level'], event: string, fields: LogFields = {}): void {
    this.events.push({ level, event, fields: { ...this.#fields, ...fields } })
  }
}
