// A history as text: JSON lines, a header and then one event on each line, so that it can be written as it happens and
// cut off at any time.
import { assert } from '../base/assert.ts'
import { VltavaError } from '../model/errors.ts'
import { DecodeError, decodeEvent, showJson } from './event-decode.ts'
import type { HistoryEvent } from './history.ts'
import { HistoryPairing } from './history-pairing.ts'

const FORMAT = 'vltava-history'
const VERSION = 1
/** A line is one operation; one with more than this is no history, and must not fill the memory. */
const LINE_MAX_CHARACTERS = 64 * 1024 * 1024

/** The first line of a file. */
export const HISTORY_HEADER = `${JSON.stringify({ format: FORMAT, version: VERSION })}\n`

/** The line of an event. */
export function historyLine(event: HistoryEvent): string {
  return `${JSON.stringify(event)}\n`
}

export interface HistoryFileOptions {
  /** Leaves out a last line that was cut off while it was written. Default false: it is refused. */
  readonly allowTornTail?: boolean
}

export interface HistoryFile {
  readonly events: readonly HistoryEvent[]
  /** The number of the line that was left out, from 1; null: none. */
  readonly tornLine: number | null
}

/** Reads a file in pieces of any size, so that a large one need not be held as text. */
export class HistoryParser {
  readonly #allowTornTail: boolean
  readonly #pairing = new HistoryPairing()
  readonly #events: HistoryEvent[] = []
  /** The line that is not complete yet, as it came. */
  #rest: string[] = []
  #restCharacters = 0
  #linesCount = 0
  #isFinished = false

  constructor(options: HistoryFileOptions = {}) {
    this.#allowTornTail = options.allowTornTail ?? false
  }

  /** Takes the next piece. @throws VltavaError INVALID_ARGUMENT that names the line and what is wrong with it. */
  push(text: string): void {
    assert(!this.#isFinished, 'a parser that has finished takes no more text')
    let start = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#keep(text.slice(start, end))
      this.#line(this.#takeRest())
      start = end + 1
    }
    this.#keep(text.slice(start))
  }

  /** @throws VltavaError INVALID_ARGUMENT for a torn last line, and for a file without a header. */
  finish(): HistoryFile {
    assert(!this.#isFinished, 'a parser finishes once')
    this.#isFinished = true
    let tornLine: number | null = null
    if (this.#restCharacters > 0) {
      const line = this.#takeRest()
      if (isJson(line)) this.#line(line)
      else tornLine = this.#torn()
    }
    if (this.#linesCount === 0) {
      throw invalid(`it is empty; a history begins with the line ${HISTORY_HEADER.trimEnd()}`)
    }
    return { events: this.#events, tornLine }
  }

  #keep(piece: string): void {
    if (piece === '') return
    this.#restCharacters += piece.length
    if (this.#restCharacters > LINE_MAX_CHARACTERS) {
      throw this.#invalidLine(this.#linesCount + 1, ` is longer than ${LINE_MAX_CHARACTERS} characters`)
    }
    this.#rest.push(piece)
  }

  #takeRest(): string {
    const line = this.#rest.length === 1 ? this.#rest[0]! : this.#rest.join('')
    this.#rest = []
    this.#restCharacters = 0
    return line
  }

  #line(line: string): void {
    const number = ++this.#linesCount
    let json: unknown
    try {
      json = JSON.parse(line)
    } catch {
      throw this.#invalidLine(number, ` is not JSON: ${showJson(line)}`)
    }
    if (number === 1) this.#header(json)
    else this.#event(json, number)
  }

  #header(json: unknown): void {
    const { format, version } = (json ?? {}) as { readonly format?: unknown; readonly version?: unknown }
    if (format !== FORMAT) {
      throw this.#invalidLine(1, ` must be the header ${HISTORY_HEADER.trimEnd()}, got ${showJson(json)}`)
    }
    if (version === VERSION) return
    const detail = ` has version ${showJson(version)}; this program reads version ${VERSION}. Use the one that wrote it`
    throw this.#invalidLine(1, detail)
  }

  #event(json: unknown, number: number): void {
    let event: HistoryEvent
    try {
      event = decodeEvent(json)
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      throw this.#invalidLine(number, `: ${thrown.message}`)
    }
    const problem = this.#pairing.add(event)
    if (problem !== null) throw this.#invalidLine(number, `: ${problem}`)
    this.#events.push(event)
  }

  #torn(): number {
    const number = this.#linesCount + 1
    if (this.#allowTornTail && number > 1) return number
    throw this.#invalidLine(
      number,
      ' is torn: the recorder was cut off while writing; remove it or pass --allow-torn-tail',
    )
  }

  #invalidLine(number: number, detail: string): VltavaError {
    return invalid(`line ${number}${detail}`)
  }
}

/** Reads a whole file. @throws VltavaError INVALID_ARGUMENT that names the line and what is wrong with it. */
export function parseHistory(text: string, options: HistoryFileOptions = {}): HistoryFile {
  const parser = new HistoryParser(options)
  parser.push(text)
  return parser.finish()
}

/** The whole file. */
export function formatHistory(events: Iterable<HistoryEvent>): string {
  return HISTORY_HEADER + [...events].map(historyLine).join('')
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function invalid(detail: string): VltavaError {
  return new VltavaError('INVALID_ARGUMENT', `The history cannot be read: ${detail}.`)
}
