// The command line of the runner, as `npm run sim` calls it; each call is a module of its own.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FAULT_NAMES } from '../../src/testing/simulation/simulation-plan.ts'

interface Outcome {
  readonly exitCode: number
  readonly out: string
  readonly err: string
}

const argvBefore = process.argv
const exitCodeBefore = process.exitCode
let calls = 0
let out: string[]
let err: string[]

beforeEach(() => {
  out = []
  err = []
  // Those of Vitest itself come and go.
  vi.spyOn(process, 'getActiveResourcesInfo').mockReturnValue([])
  vi.spyOn(console, 'log').mockImplementation((text: string) => void out.push(text))
  vi.spyOn(console, 'error').mockImplementation((text: string) => void err.push(text))
})

afterEach(() => {
  vi.restoreAllMocks()
  process.argv = argvBefore
  process.exitCode = exitCodeBefore
})

async function sim(...args: readonly string[]): Promise<Outcome> {
  process.argv = ['node', 'main.js', ...args]
  calls++
  await import(/* @vite-ignore */ `${new URL('./main.ts', import.meta.url).href}?call=${calls}`)
  return { exitCode: Number(process.exitCode), out: out.join('\n'), err: err.join('\n') }
}

describe('npm run sim: options', () => {
  const wrong: readonly (readonly [args: readonly string[], message: string])[] = [
    [['--minutes', '0'], '--minutes: must be an integer from 1 to 100000, got "0"'],
    [['--minutes', '1.5'], '--minutes: must be an integer from 1 to 100000, got "1.5"'],
    [['--seeds', 'many'], '--seeds: must be an integer from 1 to 10000000, got "many"'],
    [['--seeds', ''], '--seeds: must be an integer from 1 to 10000000, got ""'],
    [['--from=-1'], '--from: must be an integer from 0 to 4294967295, got "-1"'],
    [['--seed', '4294967296'], '--seed: must be an integer from 0 to 4294967295, got "4294967296"'],
    [['--seed', '1', '--until', '0'], `--until: must be an integer from 1 to ${2 ** 53 - 1}, got "0"`],
    [
      ['--seed', '1', '--faults', 'kill,flood,fire'],
      `--faults: unknown flood, fire; there are none, ${FAULT_NAMES.join(', ')}`,
    ],
  ]
  for (const [args, message] of wrong) {
    it(`${args.join(' ')} -> what is allowed, the usage, exit code 2`, async () => {
      const { exitCode, err: text } = await sim(...args)
      expect(exitCode).toBe(2)
      expect(text.split('\n')[0]).toBe(message)
      expect(text).toContain('npm run sim -- [options]')
      expect(out).toEqual([])
    })
  }

  it('an unknown option, a value too many -> named, the usage, exit code 2', async () => {
    for (const args of [['--sedes', '1'], ['7']]) {
      err = []
      const { exitCode, err: text } = await sim(...args)
      expect(exitCode).toBe(2)
      expect(text.split('\n')[0]).toContain(args[0])
      expect(text).toContain('npm run sim -- [options]')
    }
  })

  it('--help -> the usage with every fault, exit code 0', async () => {
    const { exitCode, out: text } = await sim('--help')
    expect(exitCode).toBe(0)
    for (const name of FAULT_NAMES) expect(text).toContain(name)
    expect(err).toEqual([])
  })
})

describe('npm run sim: one seed', () => {
  it('SIM-7: --seed --until -> stops there, says what it was, exit code 0; again -> the same trace', async () => {
    const first = await sim('--seed', '5', '--until', '400')
    expect(first.exitCode).toBe(0)
    expect(first.out).toMatch(
      /^seed 5: clean, 400 events, \d+ ms of virtual time, \d+ acknowledged records, trace [0-9a-f]{64}$/,
    )
    out = []
    expect((await sim('--seed', '5', '--until', '400', '--no-invariants')).out).toBe(first.out)
  })

  it('SIM-7: --verbose --faults -> the whole trace, with those faults only', async () => {
    await sim('--seed', '5', '--until', '50', '--verbose', '--faults', 'none')
    expect(out[0]).toMatch(/^0\.000 seed 5 \{.*"faults":\[\]/)
    expect(out.length).toBeGreaterThan(50)
    expect(JSON.parse(out.at(-1)!)).toBeTypeOf('object')
  })
})
