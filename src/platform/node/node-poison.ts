// Takes the real clock, real timers, real randomness and real I/O away while simulated code runs, so that what reaches
// for them fails at once and by name, instead of making a run that cannot be repeated (SIM-2).
import { syncBuiltinESMExports } from 'node:module'

type Holder = Record<string, unknown>
type AnyFunction = (...args: unknown[]) => unknown

/** Functions that throw when called, by the built-in module that hands them out; null stands for the global object. */
const FUNCTIONS: readonly (readonly [module: string | null, names: readonly string[]])[] = [
  [null, ['setTimeout', 'setInterval', 'setImmediate', 'fetch']],
  ['node:timers', ['setTimeout', 'setInterval', 'setImmediate']],
  ['node:timers/promises', ['setTimeout', 'setInterval', 'setImmediate']],
  ['node:crypto', ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID']],
  ['node:fs', ['open', 'read', 'write', 'readFile', 'writeFile', 'stat', 'readdir', 'watch']],
  ['node:fs', ['createReadStream', 'createWriteStream']],
  ['node:fs/promises', ['open', 'readFile', 'writeFile', 'appendFile', 'stat', 'readdir', 'mkdir']],
  ['node:fs/promises', ['rm', 'rename', 'access', 'unlink']],
  ['node:net', ['connect', 'createConnection', 'createServer']],
  ['node:http', ['request', 'get', 'createServer']],
  ['node:child_process', ['spawn', 'exec', 'execFile', 'fork']],
  ['node:zlib', ['gzip', 'gunzip', 'deflate', 'inflate', 'brotliCompress', 'brotliDecompress']],
  ['node:process', ['hrtime', 'uptime']],
]

/** Methods of global objects. */
const METHODS: readonly (readonly [holder: string, names: readonly string[]])[] = [
  ['Math', ['random']],
  ['performance', ['now']],
  ['crypto', ['getRandomValues', 'randomUUID']],
  ['AbortSignal', ['timeout']],
]

/** What throws when it is constructed; `Date` only where it would read the clock. */
const CLASSES = [
  'Date',
  'WeakRef',
  'FinalizationRegistry',
  'WebSocket',
  'MessageChannel',
  'BroadcastChannel',
] as const

/** Of every gate; shared by all copies of this module. */
const MARK = Symbol.for('vltava.poison')

const INSTEAD = 'Take time, timers, randomness and I/O from the simulation.'

/** Something real was used inside of a simulation; the stack shows where. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError'
}

/** Gates before everything real. They are open until `begin`, and gone after `remove`. */
export class NodePoison {
  readonly #undo: (() => void)[] = []
  readonly #onUse: (error: PoisonError) => void
  #isOn = false

  /** @param onUse told of each use, because whoever made it may also catch the error. */
  constructor(onUse: (error: PoisonError) => void) {
    this.#onUse = onUse
    for (const [module, names] of FUNCTIONS) {
      const holder = (module === null ? globalThis : process.getBuiltinModule(module)) as unknown as Holder
      for (const name of names) this.#gate(holder, name, module === null ? name : `${name} of ${module}`)
    }
    for (const [name, methods] of METHODS) {
      const holder = (globalThis as unknown as Holder)[name] as Holder | undefined
      for (const method of methods) if (holder !== undefined) this.#gate(holder, method, `${name}.${method}`)
    }
    for (const name of CLASSES) this.#gateClass(name)
    syncBuiltinESMExports()
  }

  /** Whether the gates of one are in place; those of two could not be taken away in any order. */
  static get isInstalled(): boolean {
    return Object.hasOwn(globalThis.setTimeout, MARK)
  }

  /** From now on whatever is real throws a PoisonError. */
  begin(): void {
    this.#isOn = true
  }

  end(): void {
    this.#isOn = false
  }

  /** Puts everything back as it was. */
  remove(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo()
    syncBuiltinESMExports()
  }

  #refuse(name: string): void {
    if (!this.#isOn) return
    const error = new PoisonError(`${name} was used inside of a simulation. ${INSTEAD}`)
    this.#onUse(error)
    throw error
  }

  #gate(holder: Holder, name: string, shown: string): void {
    const real = holder[name]
    if (typeof real === 'function') this.#replace(holder, name, this.#gateOf(real as AnyFunction, shown))
  }

  /** What hangs on the function stays, behind a gate too: process.hrtime.bigint, util.promisify's own form of exec. */
  #gateOf(real: AnyFunction, shown: string): AnyFunction {
    const refuse = (): void => this.#refuse(shown)
    const gate = function (this: unknown, ...args: unknown[]): unknown {
      refuse()
      return real.apply(this, args)
    }
    const own: Record<PropertyKey, PropertyDescriptor> = Object.getOwnPropertyDescriptors(real)
    for (const key of Reflect.ownKeys(own)) {
      const { value } = own[key]! as { readonly value?: unknown }
      if (typeof value === 'function')
        own[key] = { ...own[key], value: this.#gateOf(value as AnyFunction, `${String(key)} of ${shown}`) }
    }
    Object.defineProperties(gate, { ...own, [MARK]: { value: true } })
    return gate
  }

  #gateClass(name: string): void {
    const real = (globalThis as unknown as Holder)[name]
    if (typeof real !== 'function') return
    const refuse = (method = ''): void => this.#refuse(`${name}${method}`)
    const readsClock = (args: readonly unknown[]): boolean => name !== 'Date' || args.length === 0
    const gate: unknown = new Proxy(real, {
      construct(target, args: unknown[], newTarget): object {
        if (readsClock(args)) refuse()
        return Reflect.construct(target, args, newTarget === gate ? target : newTarget) as object
      },
      apply(target, self, args: unknown[]): unknown {
        refuse()
        return Reflect.apply(target, self, args)
      },
      get(target, property, receiver): unknown {
        if (name === 'Date' && property === 'now') {
          return () => {
            refuse('.now')
            return Date.prototype.getTime.call(Reflect.construct(target, []))
          }
        }
        return Reflect.get(target, property, receiver)
      },
    })
    this.#replace(globalThis as unknown as Holder, name, gate)
  }

  #replace(holder: Holder, name: string, gate: unknown): void {
    const before = Object.getOwnPropertyDescriptor(holder, name)
    Object.defineProperty(holder, name, {
      value: gate,
      configurable: true,
      writable: true,
      enumerable: before?.enumerable ?? false,
    })
    this.#undo.push(() => {
      if (before === undefined) delete holder[name]
      else Object.defineProperty(holder, name, before)
    })
  }
}
