import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNodeProcess, readProcessIdentity } from '../../src/platform/node/node-process.ts'

let procDirectory = ''

beforeEach(() => {
  procDirectory = mkdtempSync(join(tmpdir(), 'vltava-proc-'))
  mkdirSync(join(procDirectory, 'sys/kernel/random'), { recursive: true })
  writeFileSync(join(procDirectory, 'sys/kernel/random/boot_id'), 'boot-of-test\n')
  writeStat(process.pid, { startTime: 111 })
})

afterEach(() => {
  rmSync(procDirectory, { recursive: true })
})

function writeStat(
  pid: number,
  { name = 'node', state = 'S', startTime }: { name?: string; state?: string; startTime: number },
): void {
  const between = Array.from({ length: 18 }, (_, i) => i).join(' ')
  mkdirSync(join(procDirectory, String(pid)), { recursive: true })
  writeFileSync(
    join(procDirectory, String(pid), 'stat'),
    `${pid} (${name}) ${state} ${between} ${startTime} 9 9 9\n`,
  )
}

describe('node process', () => {
  it('identity: a proc file system -> its boot id, the own pid and the start time', () => {
    expect(createNodeProcess({ procDirectory }).identity).toEqual({
      bootId: 'boot-of-test',
      pid: process.pid,
      startTime: '111',
    })
  })

  it('identity: made twice -> the same, whatever /proc is', () => {
    expect(createNodeProcess().identity).toEqual(createNodeProcess().identity)
  })

  it('isRunning: a command name with spaces and parentheses -> the fields are still found', () => {
    const node = createNodeProcess({ procDirectory })
    writeStat(77, { name: 'a) S 1 (b) ', startTime: 222 })
    expect(node.isRunning({ ...node.identity, pid: 77, startTime: '222' })).toBe(true)
    expect(node.isRunning({ ...node.identity, pid: 77, startTime: '221' })).toBe(false)
  })

  it.each(['Z', 'X'])('isRunning: a process in state %s that nobody reaped -> false', (state) => {
    const node = createNodeProcess({ procDirectory })
    writeStat(77, { state, startTime: 222 })
    expect(node.isRunning({ ...node.identity, pid: 77, startTime: '222' })).toBe(false)
  })

  it('isRunning: a stat file that is cut short -> false', () => {
    const node = createNodeProcess({ procDirectory })
    mkdirSync(join(procDirectory, '77'))
    writeFileSync(join(procDirectory, '77', 'stat'), '77 (node) S 1 2')
    expect(node.isRunning({ ...node.identity, pid: 77, startTime: '222' })).toBe(false)
  })

  it('isRunning: no proc file system -> goes by whether the pid is in use', () => {
    const node = createNodeProcess({ procDirectory: join(procDirectory, 'absent') })
    expect(node.identity).toEqual({ bootId: '', pid: process.pid, startTime: '' })
    expect(node.isRunning(node.identity)).toBe(true)
    // Process 1 runs always; under another user the signal is refused, which tells as well that it runs.
    expect(node.isRunning({ ...node.identity, pid: 1 })).toBe(true)
    expect(node.isRunning({ ...node.identity, pid: 2 ** 30 })).toBe(false)
  })

  it('isRunning: the other identity was taken without a proc file system -> goes by the pid', () => {
    const node = createNodeProcess({ procDirectory })
    expect(node.isRunning({ bootId: '', pid: process.pid, startTime: '' })).toBe(true)
    expect(node.isRunning({ bootId: '', pid: 2 ** 30, startTime: '' })).toBe(false)
  })

  it('isRunning: a boot id but no own start time, as in some sandboxes -> goes by the pid', () => {
    rmSync(join(procDirectory, String(process.pid)), { recursive: true })
    const node = createNodeProcess({ procDirectory })
    expect(node.isRunning(node.identity)).toBe(true)
    expect(node.isRunning({ ...node.identity, pid: 2 ** 30 })).toBe(false)
  })

  it('readProcessIdentity: a process that runs -> is running until another one has its pid', () => {
    const node = createNodeProcess({ procDirectory })
    writeStat(77, { startTime: 222 })
    const identity = readProcessIdentity(77, procDirectory)
    expect(identity).toEqual({ bootId: 'boot-of-test', pid: 77, startTime: '222' })
    expect(node.isRunning(identity)).toBe(true)
    writeStat(77, { startTime: 333 })
    expect(node.isRunning(identity)).toBe(false)
  })

  it('readProcessIdentity: a process that has ended, reaped or not -> is not running', () => {
    const node = createNodeProcess({ procDirectory })
    writeStat(77, { state: 'Z', startTime: 222 })
    expect(node.isRunning(readProcessIdentity(77, procDirectory))).toBe(false)
    expect(node.isRunning(readProcessIdentity(78, procDirectory))).toBe(false)
  })

  it('fail: a reason and an error with a cause -> both are written before the exit with code 1', () => {
    const calls: string[] = []
    const node = createNodeProcess({
      procDirectory,
      writeError: (text) => calls.push(text),
      exit: (code) => calls.push(`exit ${code}`),
    })
    node.fail('fsync failed', new Error('EIO: i/o error', { cause: new Error('disk on fire') }))
    expect(calls).toHaveLength(2)
    expect(calls[0]).toMatch(/^vltava: fatal: fsync failed\n/)
    expect(calls[0]).toContain('EIO: i/o error')
    expect(calls[0]).toContain('disk on fire')
    expect(calls[1]).toBe('exit 1')
  })

  it.each([undefined, null, 'text', { [Symbol.toPrimitive]: () => 1n }])(
    'fail: error %o -> still exits',
    (error) => {
      const codes: number[] = []
      createNodeProcess({ procDirectory, writeError: () => {}, exit: (code) => codes.push(code) }).fail(
        'r',
        error,
      )
      expect(codes).toEqual([1])
    },
  )
})
