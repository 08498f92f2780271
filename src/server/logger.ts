import { destination, type Logger, pino } from 'pino'
import type { Log, LogFields } from '../base/log.ts'

/** Errors as text and cause: pino would print an Error inside fields as {}. */
function plain(fields: LogFields | undefined): object {
  if (fields === undefined) return {}
  const copy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    copy[name] = value instanceof Error ? (value.stack ?? value.message) : value
  }
  return copy
}

function adapt(logger: Logger): Log {
  return {
    debug: (event, fields) => logger.debug(plain(fields), event),
    info: (event, fields) => logger.info(plain(fields), event),
    warn: (event, fields) => logger.warn(plain(fields), event),
    error: (event, fields) => logger.error(plain(fields), event),
    child: (fields) => adapt(logger.child(fields)),
  }
}

/**
 * Structured logs as JSON lines on stderr, so that stdout stays free for data. Writing is synchronous: the last
 * lines before a crash are the ones that matter.
 * @param level debug, info, warn, error or silent.
 */
export function createLogger(level: string): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'event',
    },
    destination({ fd: 2, sync: true }),
  )
  return adapt(logger)
}
