// Option tables. A table gives the type, the default, the check and the text about what is allowed; the tables
// themselves stand with those who use them. Names are Kafka's in camelCase with the unit last.
import { VltavaError } from '../model/errors.ts'

export interface Option<T> {
  /** Absent: the option is required. */
  readonly fallback?: { readonly value: T }
  /** What may be given, for the error, such as `an integer from 0 to 60000`. */
  readonly allowed: string
  readonly check: (value: unknown) => boolean
}

// biome-ignore lint/suspicious/noExplicitAny: only any is assignable both from and to every Option<T> here.
export type OptionTable = Readonly<Record<string, Option<any>>>

type Value<O> = O extends Option<infer T> ? T : never

/** What a caller may give: everything is optional, and `undefined` counts as not given. */
export type Given<T extends OptionTable> = { readonly [K in keyof T]?: Value<T[K]> | undefined }

/** Every option with its value. */
export type Resolved<T extends OptionTable> = { readonly [K in keyof T]: Value<T[K]> }

/** @param range both ends inclusive; the unit stands in the option's name. */
export function integerOption(range: {
  readonly min: number
  readonly max: number
  readonly fallback: number
}): Option<number> {
  const { min, max, fallback } = range
  return {
    fallback: { value: fallback },
    allowed: `an integer from ${min} to ${max}`,
    check: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  }
}

export function choiceOption<const V extends readonly (string | number | null)[]>(
  values: V,
  fallback: V[number],
): Option<V[number]> {
  return {
    fallback: { value: fallback },
    allowed: `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`,
    check: (value) => values.includes(value as V[number]),
  }
}

/** An option whose type a predicate tells, such as a callback or a port. */
export function customOption<T>(option: {
  readonly fallback: T
  readonly allowed: string
  readonly check: (value: unknown) => boolean
}): Option<T> {
  return { ...option, fallback: { value: option.fallback } }
}

/**
 * Fills in what was not given.
 * @param what names the call in errors, such as `producer`.
 * @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed.
 */
export function resolveOptions<T extends OptionTable>(table: T, given: Given<T>, what: string): Resolved<T> {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(table, name)) continue
    const known = Object.keys(table).join(', ')
    throw new VltavaError('INVALID_ARGUMENT', `${what}: there is no option "${name}"; there are ${known}.`)
  }
  const resolved: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(table)) {
    const value: unknown = given[name]
    if (value === undefined && option.fallback !== undefined) {
      resolved[name] = option.fallback.value
    } else if (option.check(value)) {
      resolved[name] = value
    } else {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `${what}: option "${name}" must be ${option.allowed}, got ${showValue(value)}.`,
      )
    }
  }
  return resolved as Resolved<T>
}

/** A value for an error message, cut where it is long. */
export function showValue(value: unknown): string {
  let shown: string
  if (value instanceof Uint8Array) shown = `${value.length} bytes`
  else if (typeof value === 'function') shown = 'a function'
  else if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'number') {
    shown = String(value)
  } else {
    try {
      shown = JSON.stringify(value) ?? String(value)
    } catch {
      shown = 'a value with a cycle'
    }
  }
  return shown.length > 80 ? `${shown.slice(0, 80)}...` : shown
}
