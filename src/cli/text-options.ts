// Reads the small languages of options: delimiters with escapes, positions to start from, key=value pairs.
import type { ReadFrom } from '../client/read-source.ts'
import { UsageError } from './terminal.ts'

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, '0': 0, '\\': 92 }

/**
 * The bytes of a delimiter or separator: UTF-8 text in which \n \t \r \0 \\ and \xHH are understood.
 * @throws UsageError when it is empty or has an unknown escape.
 */
export function parseDelimiter(text: string, option: string): Uint8Array {
  const bytes: number[] = []
  const encoder = new TextEncoder()
  for (let i = 0; i < text.length; ) {
    if (text[i] !== '\\') {
      const character = String.fromCodePoint(text.codePointAt(i)!)
      bytes.push(...encoder.encode(character))
      i += character.length
      continue
    }
    const hex = /^\\x([0-9a-fA-F]{2})/.exec(text.slice(i, i + 4))
    const escaped = ESCAPES[text[i + 1] ?? '']
    if (hex !== null) bytes.push(Number.parseInt(hex[1]!, 16))
    else if (escaped !== undefined) bytes.push(escaped)
    else
      throw new UsageError(
        `${option}: ${JSON.stringify(text)} has an unknown escape; use \\n \\t \\r \\0 \\\\ or \\xHH`,
      )
    i += hex !== null ? 4 : 2
  }
  if (bytes.length === 0) throw new UsageError(`${option}: must not be empty`)
  return Uint8Array.from(bytes)
}

/** Where to start reading. */
export type StartPosition =
  | 'beginning'
  | 'end'
  | { readonly offset: number }
  | { readonly last: number }
  | { readonly timestampMs: number }

/**
 * Parses beginning | end | <offset> | -<last N> | @<ISO time or milliseconds since 1970>.
 * @throws UsageError naming what is allowed.
 */
export function parseFrom(text: string): StartPosition {
  if (text === 'beginning' || text === 'end') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { offset: Number(text) }
  if (/^-\d+$/.test(text) && Number.isSafeInteger(Number(text)) && text !== '-0')
    return { last: -Number(text) }
  if (text.startsWith('@')) {
    const time = text.slice(1)
    // Date.parse takes much that is no ISO time, such as "-5".
    const timestampMs = /^\d+$/.test(time)
      ? Number(time)
      : /^\d{4}-\d\d/.test(time)
        ? Date.parse(time)
        : Number.NaN
    if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return { timestampMs }
  }
  throw new UsageError(
    `--from: must be beginning, end, an offset, -N for the last N records, or @TIME (ISO or milliseconds), got ${JSON.stringify(text)}`,
  )
}

/** Parses an integer option. @throws UsageError naming the option, the value and the range. */
export function parseInteger(
  text: string,
  rule: { readonly option: string; readonly min: number; readonly max: number },
): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= rule.min && value <= rule.max) return value
  throw new UsageError(
    `${rule.option}: must be an integer from ${rule.min} to ${rule.max}, got ${JSON.stringify(text)}`,
  )
}

/** Parses a replica to read from: `leader`, `any` or a broker id. @throws UsageError */
export function parseReadFrom(given: string): ReadFrom {
  if (given === 'leader' || given === 'any') return given
  if (/^\d{1,10}$/.test(given) && Number(given) < 2 ** 31) return Number(given)
  throw new UsageError(`--read-from: must be leader, any or a broker id, got ${JSON.stringify(given)}`)
}

/** Parses `name=value`. @throws UsageError */
export function parsePair(text: string, option: string): { readonly name: string; readonly value: string } {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`${option}: must be name=value, got ${JSON.stringify(text)}`)
  return { name: text.slice(0, at), value: text.slice(at + 1) }
}
