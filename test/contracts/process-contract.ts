// What every implementation of the process port does.
import { describe, expect, it } from 'vitest'
import type { Process, ProcessIdentity } from '../../src/base/process.ts'

export interface ProcessHarness {
  readonly process: Process
  /** Starts another process on the same machine. */
  readonly startOther: () => Promise<{ readonly identity: ProcessIdentity; end(): Promise<void> }>
}

export function processContract(name: string, create: () => ProcessHarness): void {
  describe(`process contract: ${name}`, () => {
    it('isRunning: itself -> true', () => {
      const { process } = create()
      expect(process.isRunning(process.identity)).toBe(true)
    })

    it('identity: its fields -> a pid, and texts that survive JSON', () => {
      const { identity } = create().process
      expect(Number.isSafeInteger(identity.pid) && identity.pid > 0).toBe(true)
      expect(JSON.parse(JSON.stringify(identity))).toEqual(identity)
      expect(identity.bootId).not.toBe('')
      expect(identity.startTime).not.toBe('')
    })

    it('isRunning: its pid with another start time -> false, the pid was given away again', () => {
      const { process } = create()
      const earlier = { ...process.identity, startTime: `${process.identity.startTime}0` }
      expect(process.isRunning(earlier)).toBe(false)
    })

    it('isRunning: a process of another boot -> false', () => {
      const { process } = create()
      expect(process.isRunning({ ...process.identity, bootId: 'another-boot' })).toBe(false)
    })

    it('isRunning: a pid that nobody has -> false', () => {
      const { process } = create()
      expect(process.isRunning({ ...process.identity, pid: 2 ** 30 })).toBe(false)
    })

    it('isRunning: another process before and after its end -> true, then false', async () => {
      const { process, startOther } = create()
      const other = await startOther()
      expect(other.identity.bootId).toBe(process.identity.bootId)
      expect(process.isRunning(other.identity)).toBe(true)
      await other.end()
      expect(process.isRunning(other.identity)).toBe(false)
    })
  })
}
