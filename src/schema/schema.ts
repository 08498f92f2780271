// Pure combinators. One schema value gives the TypeScript type, the encoder, the decoder with its checks, and the
// documentation of a message. A struct travels as a positional array; fields are only ever appended, and a reader
// ignores positions it does not know, so that old and new nodes understand each other.
import { unreachable } from '../base/assert.ts'

/** What msgpack carries for us: no maps, no extension types. */
export type Wire = null | boolean | number | string | Uint8Array | readonly Wire[]

/** A value from outside that breaks its schema. The path names the place, such as `request.partitions[3].offset`. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
  readonly path: string

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`)
    this.path = path
  }
}

/** A node of the documentation that `describe` returns. */
export interface SchemaDoc {
  readonly type: string
  readonly fields?: readonly { readonly name: string; readonly doc: SchemaDoc }[]
}

export interface Schema<T> {
  encode(value: T): Wire
  /** @throws SchemaError */
  decode(wire: unknown, path: string): T
  /** The value a reader assumes where an older writer's array ends before this field; absent = the field is required. */
  readonly fallback?: { readonly value: T; readonly isLeftOut: boolean }
  describe(): SchemaDoc
}

export type Infer<S> = S extends Schema<infer T> ? T : never

function show(wire: unknown): string {
  if (typeof wire === 'string') return `text of ${wire.length} characters`
  if (wire instanceof Uint8Array) return `${wire.length} bytes`
  if (Array.isArray(wire)) return `a list of ${wire.length}`
  return String(wire)
}

/** A safe integer from min to max, both inclusive. */
export function integer<T extends number = number>(min: number, max: number): Schema<T> {
  return {
    encode: (value) => value,
    decode(wire, path) {
      if (typeof wire === 'number' && Number.isSafeInteger(wire) && wire >= min && wire <= max)
        return wire as T
      throw new SchemaError(path, `must be an integer from ${min} to ${max}, got ${show(wire)}`)
    },
    describe: () => ({ type: `integer ${min}..${max}` }),
  }
}

export function boolean(): Schema<boolean> {
  return {
    encode: (value) => value,
    decode(wire, path) {
      if (typeof wire === 'boolean') return wire
      throw new SchemaError(path, `must be true or false, got ${show(wire)}`)
    },
    describe: () => ({ type: 'boolean' }),
  }
}

/** Text of at most so many UTF-16 units; `pattern` narrows it further. */
export function text<T extends string = string>(
  charactersMax: number,
  pattern?: { readonly regex: RegExp; readonly meaning: string },
): Schema<T> {
  return {
    encode: (value) => value,
    decode(wire, path) {
      if (typeof wire !== 'string' || wire.length > charactersMax) {
        throw new SchemaError(path, `must be text of at most ${charactersMax} characters, got ${show(wire)}`)
      }
      if (pattern !== undefined && !pattern.regex.test(wire))
        throw new SchemaError(path, `must be ${pattern.meaning}`)
      return wire as T
    },
    describe: () => ({ type: pattern?.meaning ?? `text of at most ${charactersMax} characters` }),
  }
}

/** Bytes of a length from min to max. The decoded value is a view on the received message. */
export function bytes(lengthMin: number, lengthMax: number): Schema<Uint8Array> {
  return {
    encode: (value) => value,
    decode(wire, path) {
      if (wire instanceof Uint8Array && wire.length >= lengthMin && wire.length <= lengthMax) return wire
      throw new SchemaError(path, `must be ${lengthMin} to ${lengthMax} bytes, got ${show(wire)}`)
    },
    describe: () => ({ type: `bytes ${lengthMin}..${lengthMax}` }),
  }
}

export function list<T>(element: Schema<T>, lengthMax: number): Schema<readonly T[]> {
  return {
    encode: (value) => value.map((item) => element.encode(item)),
    decode(wire, path) {
      if (!Array.isArray(wire) || wire.length > lengthMax) {
        throw new SchemaError(path, `must be a list of at most ${lengthMax}, got ${show(wire)}`)
      }
      return wire.map((item, i) => element.decode(item, `${path}[${i}]`))
    },
    describe: () => ({
      type: `list of at most ${lengthMax}`,
      fields: [{ name: '[]', doc: element.describe() }],
    }),
  }
}

export function nullable<T>(inner: Schema<T>): Schema<T | null> {
  return {
    encode: (value) => (value === null ? null : inner.encode(value)),
    decode: (wire, path) => (wire === null ? null : inner.decode(wire, path)),
    describe: () => ({ ...inner.describe(), type: `${inner.describe().type} or null` }),
  }
}

/** Marks a field that was appended after the first release: readers assume `value` where it is absent. */
export function withFallback<T>(inner: Schema<T>, value: T): Schema<T> {
  return { ...inner, fallback: { value, isLeftOut: false } }
}

/**
 * The same, and a writer leaves the field out where it has that value and nothing is written behind it. What makes no use of
 * the field has the same bytes as before there was one.
 */
export function withUnwrittenFallback<T extends null | boolean | number | string>(
  inner: Schema<T>,
  value: NoInfer<T>,
): Schema<T> {
  return { ...inner, fallback: { value, isLeftOut: true } }
}

/** One of the names; travels as its index, so names are only ever appended. */
export function oneOf<const N extends readonly string[]>(names: N): Schema<N[number]> {
  return {
    encode: (value) => names.indexOf(value),
    decode(wire, path) {
      const name = typeof wire === 'number' ? names[wire] : undefined
      if (name !== undefined) return name
      throw new SchemaError(path, `must be the index of one of ${names.join(', ')}, got ${show(wire)}`)
    },
    describe: () => ({ type: `one of ${names.join(', ')}` }),
  }
}

/** Any wire value as it is, for a message whose own schema its owner applies. */
export function wire(): Schema<Wire> {
  return {
    encode: (value) => value,
    decode: (value) => value as Wire,
    describe: () => ({ type: 'a message with a schema of its own' }),
  }
}

type StructValue<F> = { readonly [K in keyof F]: F[K] extends Schema<infer T> ? T : never }

// biome-ignore lint/suspicious/noExplicitAny: only any is assignable both from and to every Schema<T> here.
type AnySchema = Schema<any>

/** A positional array with one element per field, in the order of the fields. */
export function struct<F extends Readonly<Record<string, AnySchema>>>(fields: F): Schema<StructValue<F>> {
  const entries = Object.entries(fields)
  const alwaysWritten = 1 + entries.findLastIndex(([, { fallback }]) => fallback?.isLeftOut !== true)
  return {
    encode(value) {
      const values = value as Record<string, unknown>
      let length = entries.length
      while (length > alwaysWritten) {
        const [name, field] = entries[length - 1]!
        if (values[name] !== field.fallback?.value) break
        length--
      }
      const written = length === entries.length ? entries : entries.slice(0, length)
      return written.map(([name, field]) => field.encode(values[name]))
    },
    decode(wire, path) {
      if (!Array.isArray(wire)) throw new SchemaError(path, `must be a list of fields, got ${show(wire)}`)
      const value: Record<string, unknown> = {}
      for (let i = 0; i < entries.length; i++) {
        const [name, field] = entries[i]!
        if (i < wire.length) value[name] = field.decode(wire[i], `${path}.${name}`)
        else if (field.fallback !== undefined) value[name] = field.fallback.value
        else throw new SchemaError(`${path}.${name}`, 'is missing')
      }
      return value as StructValue<F>
    },
    describe: () => ({
      type: 'struct',
      fields: entries.map(([name, field]) => ({ name, doc: field.describe() })),
    }),
  }
}

type UnionValue<V> = {
  [K in keyof V]: V[K] extends Schema<infer T> ? { readonly type: K } & T : never
}[keyof V]

/** A tagged union: travels as [index of the variant, its struct], so variants are only ever appended. */
export function union<V extends Readonly<Record<string, AnySchema>>>(variants: V): Schema<UnionValue<V>> {
  const names = Object.keys(variants)
  return {
    encode(value) {
      const tag = (value as { readonly type: string }).type
      const variant = variants[tag] ?? unreachable(tag as never)
      return [names.indexOf(tag), variant.encode(value)]
    },
    decode(wire, path) {
      const tag = Array.isArray(wire) && wire.length >= 2 ? wire[0] : undefined
      const name = typeof tag === 'number' ? names[tag] : undefined
      if (name === undefined)
        throw new SchemaError(path, `must be a variant of ${names.join(', ')}, got ${show(wire)}`)
      return {
        type: name,
        ...variants[name]!.decode((wire as unknown[])[1], `${path}.${name}`),
      } as UnionValue<V>
    },
    describe: () => ({
      type: 'union',
      fields: names.map((name) => ({ name, doc: variants[name]!.describe() })),
    }),
  }
}
