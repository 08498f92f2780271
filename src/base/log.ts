// The log port: structured events. An event is a short kebab-case name; everything variable is a field, so that
// logs can be searched and no text from outside can forge a line.

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log whose events carry these fields as well. */
  child(fields: LogFields): Log
}

/** Discards everything. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}
