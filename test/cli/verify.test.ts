import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import { runCommand } from '../../src/cli/main.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { formatHistory } from '../../src/history/history-file.ts'
import { Script } from '../history/script.ts'

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vltava-verify-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

class TextSink extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

async function run(
  args: readonly string[],
  options: Partial<Pick<Terminal, 'stdin' | 'interrupted'>> = {},
): Promise<Ran> {
  const [stdout, stderr] = [new TextSink(), new TextSink()]
  const code = await runCommand(['verify', ...args], {
    stdin: Readable.from([]),
    stdout,
    stderr,
    isErrorTty: false,
    env: {},
    interrupted: new AbortController().signal,
    isOutputClosed: () => false,
    ...options,
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

async function history(text: string): Promise<string> {
  const path = join(directory, 'history.jsonl')
  await writeFile(path, text)
  return path
}

const CLEAN = formatHistory(
  new Script().send('ok', [['orders/0', 'a', 0]], 0).poll('ok', { 'orders/0': [[0, 'a']] }, 1).events,
)

const BROKEN = formatHistory(
  new Script()
    .send('ok', [['orders/0', 'a', 0]], 0)
    .send('ok', [['orders/0', 'b', 1]], 0)
    .poll(
      'ok',
      {
        'orders/0': [
          [1, 'b'],
          [2, 'b'],
        ],
      },
      1,
    ).events,
)

describe('vltava verify', () => {
  it('a correct history -> exit 0 and what was done', async () => {
    expect(await run([await history(CLEAN)])).toEqual({
      code: 0,
      stdout:
        '2 operations of 2 processes on 1 key in 3 ms\n' +
        'sent 1: 1 acknowledged, 0 failed for sure, 0 unknown\n' +
        'read 1; 0 acknowledged and not read; readers were behind by 0 ms at most\n\n' +
        'Nothing is wrong with this history.\n',
      stderr: '',
    })
  })

  it('a history with errors -> exit 1, each in plain words with its evidence, and how many there are', async () => {
    const { code, stdout } = await run([await history(BROKEN)])
    expect(code).toBe(1)
    expect(stdout).toContain(
      'CHK-4 lost-write: orders/0: "a" was acknowledged at offset 0 (event 1); readers got as far as offset 1, but nobody ever read it.\n' +
        'CHK-5 duplicate: orders/0: "b" was sent once and stands at the offsets 1, 2.\n\n' +
        'CHK-4  lost-write  1 error\n' +
        'CHK-5  duplicate   1 error\n\n' +
        'This history is not what a correct log would show.\n',
    )
  })

  it('--json -> one object with everything', async () => {
    const { code, stdout } = await run([await history(BROKEN), '--json', '--allow', 'duplicate'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      statistics: { operations: 3, sent: 2 },
      counts: { 'lost-write': { errors: 1, allowed: 0 }, duplicate: { errors: 0, allowed: 1 } },
      findings: [
        { check: 'CHK-4', name: 'lost-write', key: 'orders/0', evidence: { value: 'a' }, isAllowed: false },
        { check: 'CHK-5', name: 'duplicate', isAllowed: true },
      ],
      tornLine: null,
    })
  })

  it('--allow with all that is found -> exit 0, and it is told; --forbid wins over it', async () => {
    const path = await history(BROKEN)
    const { code, stdout } = await run([path, '--allow', 'duplicate, lost-write'])
    expect(code).toBe(0)
    expect(stdout).toContain('CHK-5  duplicate   1 allowed\n\nNothing is wrong with this history.\n')
    expect((await run([path, '--allow', 'duplicate,lost-write', '--forbid', 'duplicate'])).code).toBe(1)
  })

  it('more errors than are shown -> says so', async () => {
    const script = new Script()
    for (let i = 0; i < 30; i++) script.poll('ok', { x: [[i, `z${i}`]] })
    const { stdout } = await run([await history(formatHistory(script.events))])
    expect(stdout.match(/CHK-14 phantom/g)).toHaveLength(20)
    expect(stdout).toContain('CHK-14  phantom  30 errors\n\nThe first 20 errors are shown')
  })

  it('- -> standard input, in pieces that cut characters', async () => {
    const script = new Script()
      .send('ok', [['x', 'žluťoučký', 0]], 0)
      .poll('ok', { x: [[0, 'žluťoučký']] }, 1)
    const bytes = Buffer.from(formatHistory(script.events))
    const stdin = Readable.from(Array.from(bytes, (byte) => Buffer.of(byte)))
    expect(await run(['-'], { stdin })).toMatchObject({ code: 0, stderr: '' })
  })

  it('a torn last line -> exit 2; with --allow-torn-tail it is left out, and that is said', async () => {
    const path = await history(CLEAN.slice(0, -5))
    expect(await run([path])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'vltava: The history cannot be read: line 5 is torn: the recorder was cut off while writing; remove it or pass --allow-torn-tail.\n',
    })
    const { code, stdout, stderr } = await run([path, '--allow-torn-tail'])
    expect([code, stderr]).toEqual([0, 'Line 5 was cut off and is left out.\n'])
    expect(stdout).toContain('1 operation never ended')
  })

  it('--final-lag-ms -> a late reader is an error', async () => {
    const script = new Script()
      .assign(0, ['x'], true)
      .send('ok', [['x', 'a', 0]])
      .finalPhase()
    script.nowMs = 5_000
    script.poll('ok', {}, 0).poll('ok', { x: [[0, 'a']] }, 0)
    const path = await history(formatHistory(script.events))
    expect((await run([path])).code).toBe(0)
    const { code, stdout } = await run([path, '--final-lag-ms', '1000'])
    expect([code, stdout.includes('CHK-16 realtime-lag')]).toEqual([1, true])
  })

  it('--ww-edges --forbid G0-realtime -> sends that the log turned round are errors', async () => {
    const script = new Script().send('ok', [['x', 'a', 1]], 0).send('ok', [['x', 'b', 0]], 1)
    const path = await history(formatHistory(script.events))
    expect((await run([path, '--ww-edges'])).stdout).toContain('CHK-15  G0-realtime  1 allowed')
    expect((await run([path, '--ww-edges', '--forbid', 'G0-realtime'])).code).toBe(1)
  })

  it.each([
    [
      ['--allow', 'duplicates'],
      '--allow: must be names of findings, separated by commas, got "duplicates"; there are inconsistent-offsets, G1a,',
    ],
    [['--final-lag-ms', 'x'], '--final-lag-ms: must be an integer from 0 to 86400000, got "x"'],
  ])('%j -> exit 2 and what is allowed', async (args, message) => {
    const { code, stderr } = await run([await history(CLEAN), ...args])
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  it('a file that is not there, or a folder -> exit 2 with its name', async () => {
    const path = join(directory, 'none.jsonl')
    expect(await run([path])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${path}: cannot be read: ENOENT`),
    })
    expect(await run([directory])).toMatchObject({ code: 2, stderr: expect.stringContaining('EISDIR') })
  })

  it('a value that is sent twice -> exit 2: nothing can be said', async () => {
    const script = new Script().send('ok', [['x', 'a', 0]]).send('ok', [['x', 'a', 1]])
    const { code, stderr } = await run([await history(formatHistory(script.events))])
    expect([code, stderr]).toEqual([2, expect.stringContaining('Event 2 sends "a" to x, as event 0 did')])
  })

  it('an interrupt while it waits for input -> exit 130', async () => {
    const controller = new AbortController()
    const hasConsumed = deferred<void>()
    let readsCount = 0
    const stdin = new Readable({
      read() {
        if (readsCount++ === 0) this.push(CLEAN)
        else hasConsumed.resolve()
      },
    })
    const running = run(['-'], { stdin, interrupted: controller.signal })
    await hasConsumed.promise
    controller.abort()
    expect((await running).code).toBe(130)
  })

  it('no file -> exit 2', async () => {
    expect((await run([])).code).toBe(2)
  })
})
