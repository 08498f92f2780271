// SIM-2: everything that is real throws while simulated code runs. Vitest itself needs most of it, so each test switches
// the poison on around single calls only.
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { hrtime } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { NodePoison, PoisonError } from '../../src/platform/node/node-poison.ts'

type AnyFunction = (...args: unknown[]) => unknown
type Holder = Record<string, unknown>

/** Functions by the module that hands them out. */
const FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  'node:timers': ['setTimeout', 'setInterval', 'setImmediate'],
  'node:timers/promises': ['setTimeout', 'setInterval', 'setImmediate'],
  'node:crypto': ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID'],
  'node:fs': [
    ...['open', 'read', 'write', 'readFile', 'writeFile', 'stat', 'readdir', 'watch'],
    ...['createReadStream', 'createWriteStream'],
  ],
  'node:fs/promises': [
    ...['open', 'readFile', 'writeFile', 'appendFile', 'stat', 'readdir', 'mkdir'],
    ...['rm', 'rename', 'access', 'unlink'],
  ],
  'node:net': ['connect', 'createConnection', 'createServer'],
  'node:http': ['request', 'get', 'createServer'],
  'node:child_process': ['spawn', 'exec', 'execFile', 'fork'],
  'node:zlib': ['gzip', 'gunzip', 'deflate', 'inflate', 'brotliCompress', 'brotliDecompress'],
  'node:process': ['hrtime', 'uptime'],
}
const GLOBAL_FUNCTIONS = ['setTimeout', 'setInterval', 'setImmediate', 'fetch']
const METHODS: Readonly<Record<string, readonly string[]>> = {
  Math: ['random'],
  performance: ['now'],
  crypto: ['getRandomValues', 'randomUUID'],
  AbortSignal: ['timeout'],
}
const CLASSES = ['Date', 'WeakRef', 'FinalizationRegistry', 'WebSocket', 'MessageChannel', 'BroadcastChannel']

interface Entry {
  readonly holder: Holder
  readonly name: string
  /** As the error names it. */
  readonly shown: string
}

const globals = globalThis as unknown as Holder
const ENTRIES: readonly Entry[] = [
  ...GLOBAL_FUNCTIONS.map((name) => ({ holder: globals, name, shown: name })),
  ...Object.entries(FUNCTIONS).flatMap(([module, names]) =>
    names.map((name) => ({
      holder: process.getBuiltinModule(module) as unknown as Holder,
      name,
      shown: `${name} of ${module}`,
    })),
  ),
  ...Object.entries(METHODS).flatMap(([of, names]) =>
    names.map((name) => ({ holder: globals[of] as Holder, name, shown: `${of}.${name}` })),
  ),
]
const CLASS_ENTRIES: readonly Entry[] = CLASSES.filter((name) => name in globalThis).map((name) => ({
  holder: globals,
  name,
  shown: name,
}))
/** A call that comes to an error at once where one without arguments would reach out. */
const ARGUMENTS: Readonly<Record<string, readonly unknown[]>> = {
  'request of node:http': ['no-such-protocol:'],
  'get of node:http': ['no-such-protocol:'],
}

let installed: NodePoison | null = null

function install(onUse: (error: PoisonError) => void = () => {}): NodePoison {
  installed = new NodePoison(onUse)
  return installed
}

afterEach(() => {
  installed?.end()
  installed?.remove()
  installed = null
})

/** What is thrown by a call while the poison is on; null when nothing is. */
function thrownWhileOn(poison: NodePoison, use: () => unknown): unknown {
  poison.begin()
  try {
    use()
    return null
  } catch (thrown) {
    return thrown
  } finally {
    poison.end()
  }
}

/** How a call ends, in words that are the same for each call. */
async function outcomeOf(use: () => unknown): Promise<string> {
  const words = (error: unknown): string => {
    const { code, name } = error as { readonly code?: string; readonly name: string }
    return `${name} ${code ?? ''}`
  }
  try {
    const value = use()
    if (!(value instanceof Promise)) return typeof value
    return await value.then(
      (settled: unknown) => `resolves with ${typeof settled}`,
      (error: unknown) => `rejects with ${words(error)}`,
    )
  } catch (error) {
    return `throws ${words(error)}`
  }
}

function call({ holder, name, shown }: Entry): unknown {
  return (holder[name] as AnyFunction).apply(holder, [...(ARGUMENTS[shown] ?? [])])
}

describe('NodePoison', () => {
  for (const entry of ENTRIES) {
    it(`SIM-2: ${entry.shown}: on -> PoisonError with its name; off -> as ever; removed -> the original`, async () => {
      const { holder, name, shown } = entry
      const real = holder[name]
      const before = Object.getOwnPropertyDescriptor(holder, name)
      const expected = await outcomeOf(() => call(entry))
      const used: PoisonError[] = []
      const poison = install((error) => used.push(error))
      expect(holder[name]).not.toBe(real)
      expect(Object.getOwnPropertyDescriptor(holder, name)!.enumerable).toBe(before?.enumerable ?? false)
      expect(await outcomeOf(() => call(entry))).toBe(expected)
      expect(used).toEqual([])
      const thrown = thrownWhileOn(poison, () => call(entry))
      expect(thrown).toBeInstanceOf(PoisonError)
      expect((thrown as PoisonError).message).toBe(
        `${shown} was used inside of a simulation. Take time, timers, randomness and I/O from the simulation.`,
      )
      expect((thrown as PoisonError).stack).toContain('node-poison.test.ts')
      expect(used).toEqual([thrown])
      expect(await outcomeOf(() => call(entry))).toBe(expected)
      poison.remove()
      expect(holder[name]).toBe(real)
      expect(Object.getOwnPropertyDescriptor(holder, name)).toEqual(before)
    })
  }

  for (const { holder, name } of CLASS_ENTRIES) {
    it(`SIM-2: new ${name}: on -> PoisonError with its name; removed -> the original`, () => {
      const real = holder[name]
      const before = Object.getOwnPropertyDescriptor(holder, name)
      const poison = install()
      const construct = (): unknown => new (holder[name] as new () => unknown)()
      const thrown = thrownWhileOn(poison, construct)
      expect(thrown).toBeInstanceOf(PoisonError)
      expect((thrown as PoisonError).message).toMatch(new RegExp(`^${name} was used inside`))
      poison.remove()
      expect(holder[name]).toBe(real)
      expect(Object.getOwnPropertyDescriptor(holder, name)).toEqual(before)
    })
  }

  it('SIM-2: classes: off -> make true instances; subclasses and instanceof work', () => {
    install()
    expect(new WeakRef(globals).deref()).toBe(globals)
    expect(new FinalizationRegistry(() => {})).toBeInstanceOf(FinalizationRegistry)
    const { port1 } = new MessageChannel()
    port1.close()
    class Later extends Date {
      readonly isLater = true
    }
    const later = new Later(5)
    expect([later.getTime(), later.isLater, later instanceof Later, later instanceof Date]).toEqual([
      5,
      true,
      true,
      true,
    ])
  })

  it('SIM-2: Date: what reads the clock -> refused, also in a subclass; with arguments -> usable', () => {
    const poison = install()
    class Later extends Date {}
    const reading: Readonly<Record<string, () => unknown>> = {
      'new Date()': () => new Date(),
      'Date()': () => (Date as unknown as () => string)(),
      'Date.now()': () => Date.now(),
      'a subclass': () => new Later(),
      'Reflect.construct': () => Reflect.construct(Date, []),
    }
    for (const [name, use] of Object.entries(reading))
      expect([name, thrownWhileOn(poison, use)]).toEqual([name, expect.any(PoisonError)])
    poison.begin()
    const made = new Date(1_700_000_000_000)
    const texts = [made.toISOString(), new Date('2026-01-01').getTime(), Date.UTC(2026, 0, 1)]
    const parsed = Date.parse('2026-01-01T00:00:00Z')
    const isDate = made instanceof Date
    const later = new Later(7).getTime()
    poison.end()
    expect(texts).toEqual(['2023-11-14T22:13:20.000Z', Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 1)])
    expect([parsed, isDate, later]).toEqual([Date.UTC(2026, 0, 1), true, 7])
  })

  it('SIM-2: Date: off -> the present time in every form', () => {
    const before = Date.now()
    install()
    const present = (): Date => new Date()
    const readings = [present().getTime(), Date.now(), Date.parse((Date as unknown as () => string)()) + 999]
    for (const reading of readings) expect(reading).toBeGreaterThanOrEqual(before)
  })

  it('SIM-2: what was imported before -> caught too', async () => {
    const poison = install()
    const uses = { sleep: () => sleep(1), randomUUID: () => randomUUID(), stat: () => stat('/'), hrtime }
    for (const [name, use] of Object.entries(uses))
      expect([name, thrownWhileOn(poison, use as AnyFunction)]).toEqual([name, expect.any(PoisonError)])
    await sleep(1)
    expect((await stat('/')).isDirectory()).toBe(true)
  })

  it('SIM-2: named imports of a real ES module, made before -> caught too, and the originals after', async () => {
    const source = `
      import { setTimeout } from 'node:timers/promises'
      import { randomUUID } from 'node:crypto'
      import fs, { readFile } from 'node:fs'
      export const uses = {
        sleep: () => setTimeout(0), randomUUID: () => randomUUID(), readFile: () => readFile(), fs: () => fs.readFile()
      }
      export const bound = () => [setTimeout, randomUUID, readFile, fs.readFile]`
    const url = `data:text/javascript,${encodeURIComponent(source)}`
    const module = (await import(/* @vite-ignore */ url)) as {
      readonly uses: Readonly<Record<string, () => unknown>>
      readonly bound: () => readonly unknown[]
    }
    const before = module.bound()
    const poison = install()
    for (const [name, use] of Object.entries(module.uses))
      expect([name, thrownWhileOn(poison, use)]).toEqual([name, expect.any(PoisonError)])
    poison.remove()
    const after = module.bound()
    expect(after.map((real, i) => real === before[i])).toEqual([true, true, true, true])
  })

  it('SIM-2: what hangs on a function -> works while off, caught while on', async () => {
    const bigint = (): unknown => Reflect.get(hrtime, 'bigint')
    const real = bigint()
    const poison = install()
    expect(hrtime.bigint()).toBeGreaterThan(0n)
    expect(thrownWhileOn(poison, () => hrtime.bigint())).toEqual(
      new PoisonError(
        'bigint of hrtime of node:process was used inside of a simulation. Take time, timers, randomness and I/O from the simulation.',
      ),
    )
    const { exec } = process.getBuiltinModule('node:child_process')
    expect(thrownWhileOn(poison, () => promisify(exec)('true'))).toBeInstanceOf(PoisonError)
    expect(thrownWhileOn(poison, () => promisify(setTimeout)(1))).toBeInstanceOf(PoisonError)
    await promisify(setTimeout)(1)
    poison.remove()
    expect(bigint()).toBe(real)
  })

  it('SIM-2: whoever uses it catches the error, also in a promise -> onUse was told', async () => {
    const used: string[] = []
    const poison = install(({ message }) => used.push(message.split(' was used')[0]!))
    const work = async (): Promise<void> => {
      try {
        await sleep(1)
      } catch {
        // As a retry loop would.
      }
      await Promise.resolve()
        .then(() => Math.random())
        .catch(() => {})
    }
    poison.begin()
    await work()
    poison.end()
    expect(used).toEqual(['setTimeout of node:timers/promises', 'Math.random'])
  })

  it('SIM-2: begin and end in turn -> throws only in between', () => {
    const poison = install()
    for (let i = 0; i < 3; i++) {
      expect(Math.random()).toBeLessThan(1)
      expect(thrownWhileOn(poison, Math.random)).toBeInstanceOf(PoisonError)
    }
  })

  it('SIM-2: what is deterministic, or real within the simulator -> not caught', async () => {
    const fence = globalThis.setImmediate
    const poison = install()
    const order: string[] = []
    poison.begin()
    queueMicrotask(() => order.push('microtask'))
    process.nextTick(() => order.push('tick'))
    await Promise.resolve()
    const done = new Promise<void>((resolve) => fence(resolve))
    poison.end()
    await done
    expect(order.sort()).toEqual(['microtask', 'tick'])
  })

  it('isInstalled: before, while and after one is there', () => {
    expect(NodePoison.isInstalled).toBe(false)
    const poison = install()
    expect(NodePoison.isInstalled).toBe(true)
    poison.begin()
    expect(NodePoison.isInstalled).toBe(true)
    poison.end()
    poison.remove()
    expect(NodePoison.isInstalled).toBe(false)
    poison.remove()
  })

  it('SIM-2: everything of the platform, installed and removed -> every property is as before', () => {
    const holders: Holder[] = [
      globals,
      ...Object.keys(FUNCTIONS).map((module) => process.getBuiltinModule(module) as unknown as Holder),
      ...Object.keys(METHODS).map((name) => globals[name] as Holder),
    ]
    const snapshot = (): Map<PropertyKey, readonly unknown[]>[] =>
      holders.map((holder) => {
        const all = Object.getOwnPropertyDescriptors(holder)
        return new Map(
          Reflect.ownKeys(all).map((key) => {
            const { value, enumerable, configurable, writable } = (
              all as Record<PropertyKey, PropertyDescriptor>
            )[key]!
            return [key, [value, enumerable, configurable, writable]]
          }),
        )
      })
    const before = snapshot()
    const poison = install()
    const replaced = snapshot().flatMap((each, i) =>
      [...each]
        .filter(([key, [value]]) => !Object.is(before[i]!.get(key)?.[0], value))
        .map(([key]) => String(key)),
    )
    poison.remove()
    const after = snapshot()
    for (const [i, each] of after.entries()) {
      expect(each.size).toBe(before[i]!.size)
      for (const [key, parts] of each) {
        const expected = before[i]!.get(key)!
        expect([String(key), parts.every((part, at) => Object.is(part, expected[at]))]).toEqual([
          String(key),
          true,
        ])
      }
    }
    // Nothing was replaced that no test above names.
    expect(replaced.sort()).toEqual([...ENTRIES, ...CLASS_ENTRIES].map(({ name }) => name).sort())
  })
})
