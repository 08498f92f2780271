import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { MemoryMachine, MemoryProcess, type ProcessFailure } from '../../src/testing/memory-process.ts'

describe('MemoryProcess', () => {
  it('fail -> records the reason, ends the process, stops its node once', () => {
    const stopped: ProcessFailure[] = []
    const process = new MemoryProcess({ onFail: (failure) => stopped.push(failure) })
    const error = new Error('EIO')
    process.fail('fsync failed', error)
    process.fail('second', null)
    expect(process.failures).toEqual([
      { reason: 'fsync failed', error },
      { reason: 'second', error: null },
    ])
    expect(stopped).toEqual([{ reason: 'fsync failed', error }])
    expect(process.isRunning(process.identity)).toBe(false)
  })

  it('kill -> it does not run any more, no failure is recorded', () => {
    const machine = new MemoryMachine()
    const [killed, other] = [new MemoryProcess({ machine }), new MemoryProcess({ machine })]
    killed.kill()
    expect([machine.isRunning(killed.identity), machine.isRunning(other.identity)]).toEqual([false, true])
    expect(killed.failures).toEqual([])
  })

  it('processes of two machines -> do not see each other', () => {
    const [a, b] = [new MemoryMachine(), new MemoryMachine()]
    a.start()
    const second = a.start()
    expect(b.isRunning(second)).toBe(false)
  })
})

describe('MemoryMachine', () => {
  it('a pid that is given away again -> only the later process runs', () => {
    const machine = new MemoryMachine()
    const first = machine.start(42)
    machine.stop(first)
    const second = machine.start(42)
    expect([machine.isRunning(first), machine.isRunning(second)]).toEqual([false, true])
    machine.stop(first)
    expect(machine.isRunning(second)).toBe(true)
  })

  it('a pid that is in use -> assertion', () => {
    const machine = new MemoryMachine()
    machine.start(42)
    expect(() => machine.start(42)).toThrow(AssertionError)
  })

  it('reboot -> nothing runs that ran before, and the boot id is another', () => {
    const machine = new MemoryMachine()
    const before = machine.start(42)
    machine.reboot()
    const after = machine.start(42)
    expect(after.bootId).not.toBe(before.bootId)
    expect([machine.isRunning(before), machine.isRunning(after)]).toEqual([false, true])
  })
})
