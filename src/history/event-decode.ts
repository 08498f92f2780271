// From parsed JSON to an event. What is wrong is said with its place and what is allowed; a misspelt field would
// otherwise weaken a check without anybody noticing.
import type {
  HistoryEvent,
  HistoryEventType,
  HistoryKey,
  HistoryOperation,
  HistoryStep,
  HistoryValue,
  SeenRecord,
  SendStep,
} from './history.ts'

/** Something in a line is not what it must be; the message begins with where. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

type Fields = Readonly<Record<string, unknown>>

const TYPES: readonly HistoryEventType[] = ['invoke', 'ok', 'fail', 'info']
const EVENT_FIELDS = ['index', 'timeMs', 'process', 'type', 'operation', 'error'] as const

/** The fields of each operation beside `f`. */
const OPERATION_FIELDS: Readonly<Record<HistoryOperation['f'], readonly string[]>> = {
  send: ['steps', 'rebalanced'],
  poll: ['steps', 'rebalanced'],
  txn: ['steps', 'rebalanced'],
  assign: ['keys', 'seekToBeginning'],
  subscribe: ['keys', 'seekToBeginning'],
  crash: [],
  'final-phase': [],
}

/** @throws DecodeError */
export function decodeEvent(json: unknown): HistoryEvent {
  const fields = fieldsOf(json, { at: 'the event', allowed: EVENT_FIELDS })
  const type = oneOf(fields['type'], { at: 'type', allowed: TYPES })
  const event: HistoryEvent = {
    index: natural(fields['index'], 'index'),
    timeMs: timeMs(fields['timeMs']),
    process: natural(fields['process'], 'process'),
    type,
    operation: decodeOperation(fields['operation'], type),
  }
  const { error } = fields as { readonly error?: unknown }
  if (error === undefined) return event
  if (type === 'invoke' || type === 'ok') refuse('error', 'must be absent where nothing failed', error)
  return { ...event, error: text(error, 'error') }
}

function decodeOperation(json: unknown, type: HistoryEventType): HistoryOperation {
  const all = Object.keys(OPERATION_FIELDS) as readonly HistoryOperation['f'][]
  const any = object(json, 'operation')
  const f = oneOf(any['f'], { at: 'operation.f', allowed: all })
  const fields = fieldsOf(json, { at: 'operation', allowed: ['f', ...OPERATION_FIELDS[f]] })
  if (f === 'crash' || f === 'final-phase') return { f }
  if (f === 'assign' || f === 'subscribe') {
    const keys = keysOf(fields['keys'], 'operation.keys')
    const { seekToBeginning } = fields as { readonly seekToBeginning?: unknown }
    if (seekToBeginning === undefined) return { f, keys }
    if (typeof seekToBeginning === 'boolean') return { f, keys, seekToBeginning }
    return refuse('operation.seekToBeginning', 'must be true or false', seekToBeginning)
  }
  const steps = list(fields['steps'], 'operation.steps').map((step, i) =>
    decodeStep(step, { at: `operation.steps[${i}]`, f, type }),
  )
  const { rebalanced } = fields as { readonly rebalanced?: unknown }
  if (rebalanced === undefined) return { f, steps }
  return { f, steps, rebalanced: keysOf(rebalanced, 'operation.rebalanced') }
}

interface StepPlace {
  readonly at: string
  readonly f: 'send' | 'poll' | 'txn'
  readonly type: HistoryEventType
}

function decodeStep(json: unknown, place: StepPlace): HistoryStep {
  const { at, f } = place
  const parts = list(json, at)
  const kind = oneOf(parts[0], { at: `${at}[0]`, allowed: f === 'txn' ? ['send', 'poll'] : [f] })
  return kind === 'send' ? decodeSend(parts, place) : decodePoll(parts, place)
}

function decodeSend(parts: readonly unknown[], { at, type }: StepPlace): SendStep {
  if (parts.length < 3 || parts.length > 4)
    refuse(at, 'must be ["send", key, value] or have an offset behind', parts)
  const key = keyOf(parts[1], `${at}[1]`)
  const value = historyValue(parts[2], `${at}[2]`)
  if (parts[3] === undefined || parts[3] === null) return ['send', key, value]
  if (type === 'invoke') refuse(`${at}[3]`, 'must be absent: an offset is known only afterwards', parts[3])
  return ['send', key, value, natural(parts[3], `${at}[3]`)]
}

function decodePoll(parts: readonly unknown[], { at, type }: StepPlace): HistoryStep {
  if (parts.length > 2) refuse(at, 'must be ["poll"] or ["poll", {key: [[offset, value], ...]}]', parts)
  if (parts[1] === undefined) {
    if (type === 'ok') refuse(at, 'must say what it returned, an empty object for nothing', parts)
    return ['poll']
  }
  if (type === 'invoke')
    refuse(`${at}[1]`, 'must be absent: what a poll returns is known only afterwards', parts[1])
  const records: [HistoryKey, readonly SeenRecord[]][] = []
  for (const [key, seen] of Object.entries(object(parts[1], `${at}[1]`))) {
    const place = `${at}[1][${JSON.stringify(key)}]`
    records.push([
      keyOf(key, place),
      list(seen, place).map((record, i) => decodeRecord(record, `${place}[${i}]`)),
    ])
  }
  return ['poll', Object.fromEntries(records)]
}

function decodeRecord(json: unknown, at: string): SeenRecord {
  const parts = list(json, at)
  if (parts.length !== 2) refuse(at, 'must be [offset, value]', json)
  return [natural(parts[0], `${at}[0]`), historyValue(parts[1], `${at}[1]`)]
}

function fieldsOf(json: unknown, rule: { readonly at: string; readonly allowed: readonly string[] }): Fields {
  const fields = object(json, rule.at)
  const unknown = Object.keys(fields).find((name) => !rule.allowed.includes(name))
  if (unknown === undefined) return fields
  return refuse(rule.at, `must have no fields but ${rule.allowed.join(', ')}`, unknown)
}

function object(json: unknown, at: string): Fields {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Fields
  return refuse(at, 'must be an object', json)
}

function list(json: unknown, at: string): readonly unknown[] {
  return Array.isArray(json) ? json : refuse(at, 'must be a list', json)
}

function oneOf<T extends string>(
  json: unknown,
  rule: { readonly at: string; readonly allowed: readonly T[] },
): T {
  const { at, allowed } = rule
  if (allowed.includes(json as T)) return json as T
  const names = allowed.map((name) => JSON.stringify(name)).join(', ')
  return refuse(at, allowed.length === 1 ? `must be ${names}` : `must be one of ${names}`, json)
}

function natural(json: unknown, at: string): number {
  if (Number.isSafeInteger(json) && (json as number) >= 0) return json as number
  return refuse(at, 'must be an integer from 0 to 2^53-1', json)
}

function timeMs(json: unknown): number {
  if (typeof json === 'number' && json >= 0) return json
  return refuse('timeMs', 'must be a number of milliseconds from 0', json)
}

function keysOf(json: unknown, at: string): readonly HistoryKey[] {
  return list(json, at).map((key, i) => keyOf(key, `${at}[${i}]`))
}

function keyOf(json: unknown, at: string): HistoryKey {
  if (typeof json === 'string' && json !== '') return json
  return refuse(at, 'must be a key: text such as "orders/0"', json)
}

function historyValue(json: unknown, at: string): HistoryValue {
  if (typeof json === 'string' || typeof json === 'number') return json
  return refuse(at, 'must be a value: text or a number', json)
}

function text(json: unknown, at: string): string {
  return typeof json === 'string' ? json : refuse(at, 'must be text', json)
}

function refuse(at: string, rule: string, got: unknown): never {
  throw new DecodeError(`${at} ${rule}, got ${showJson(got)}`)
}

export function showJson(value: unknown): string {
  const shown = JSON.stringify(value) ?? 'nothing'
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown
}
