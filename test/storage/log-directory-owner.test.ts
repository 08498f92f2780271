// Who may use a data directory: the lock and the identity.
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { sweepCrashes } from './crash-sweep.ts'
import { fill, names, openDirectory as open, PATH } from './directory-fixtures.ts'
import { cpu, readFile, writeFile } from './fixtures.ts'

describe('log directory: lock', () => {
  it('STO-22: a second process -> refused, with the pid and the path', async () => {
    const machine = new MemoryMachine()
    const disk = new MemoryFileSystem()
    const first = new MemoryProcess({ machine })
    const { directory } = await open(disk, { process: first })
    const second = new MemoryProcess({ machine })
    const error = await open(disk, { process: second }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INVALID_REQUEST' })
    expect(String(error)).toContain(`pid ${first.identity.pid}`)
    expect(String(error)).toContain(PATH)
    await directory.close({ cleanBrokerEpoch: null })
    await (await open(disk, { process: second })).directory.close({ cleanBrokerEpoch: null })
  })

  it('STO-22: kill -9, a reboot, or a pid that was given to another process -> the lock does not block', async () => {
    const machine = new MemoryMachine()
    const disk = new MemoryFileSystem()
    const killed = new MemoryProcess({ machine })
    await open(disk, { process: killed })
    killed.kill()
    machine.start(killed.identity.pid)
    const rebooted = new MemoryProcess({ machine })
    await open(disk, { process: rebooted })
    machine.reboot()
    await open(disk, { process: new MemoryProcess({ machine }) })
    expect((await names(disk)).filter((name) => name.startsWith('lock'))).toEqual(['lock'])
  })

  it('STO-22: several starters at once, with and without a stale lock -> exactly one gets it', async () => {
    for (const isStale of [false, true]) {
      const machine = new MemoryMachine()
      const disk = new MemoryFileSystem()
      const first = new MemoryProcess({ machine })
      const { directory } = await open(disk, { process: first })
      if (isStale) first.kill()
      else await directory.close({ cleanBrokerEpoch: null })
      const starts = Array.from({ length: 6 }, (_, i) =>
        open(disk, { process: new MemoryProcess({ machine }), random: seededRandom(100 + i) }),
      )
      const outcomes = await Promise.allSettled(starts)
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'INVALID_REQUEST' })
      }
      expect((await names(disk)).filter((name) => name.startsWith('lock'))).toEqual(['lock'])
    }
  })

  it('STO-22: starters that run at different speeds -> never two at once', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed)
      const machine = new MemoryMachine()
      const stale = new MemoryFileSystem()
      const dead = new MemoryProcess({ machine })
      await open(stale, { process: dead })
      dead.kill()
      // Each operation takes some turns, a few take many: a starter can be overtaken by a whole takeover.
      const disk = stale.afterKill({
        async onOperation() {
          const turnsMax = random.below(5) === 0 ? 80 : 4
          for (let turns = random.below(turnsMax); turns > 0; turns--) await Promise.resolve()
          return undefined
        },
      })
      const processes = Array.from({ length: 4 }, () => new MemoryProcess({ machine }))
      const holders: MemoryProcess[] = []
      await Promise.all(
        processes.map(async (process, i) => {
          const started = await open(disk, { process, random: seededRandom(10 * seed + i) }).catch(() => null)
          if (started === null) return
          holders.push(process)
          expect(holders.filter((holder) => holder.isRunning(holder.identity))).toHaveLength(1)
          // Some die at once, and the others may have the directory.
          if (random.below(2) === 0) process.kill()
        }),
      )
      expect(holders.length).toBeGreaterThanOrEqual(1)
    }
  })

  it('STO-22: a start that dies anywhere -> does not block the next one', async () => {
    const machine = new MemoryMachine()
    await sweepCrashes<{ process: MemoryProcess }>({
      prepare: async (prepared) => {
        const dead = new MemoryProcess({ machine })
        await open(prepared, { process: dead })
        dead.kill()
      },
      state: () => ({ process: new MemoryProcess({ machine }) }),
      async run(running, { process }) {
        await open(running, { process, random: seededRandom(1) })
      },
      async check(after, { process }) {
        process.kill()
        const { directory } = await open(after, { process: new MemoryProcess({ machine }) })
        await directory.close({ cleanBrokerEpoch: null })
        expect(await names(after)).not.toContain('lock')
      },
    })
  })

  it('a damaged lock file -> refused with what to do', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory(PATH)
    await writeFile(disk, `${PATH}/lock`, cpu.encodeUtf8('{"pid":'))
    await expect(open(disk)).rejects.toThrow(
      /lock is damaged. If no process uses this data directory, remove/,
    )
  })
})

describe('log directory: whose it is', () => {
  it('STO-23: another node id -> refused with both ids, nothing changed', async () => {
    const disk = new MemoryFileSystem()
    await (await open(disk, { nodeId: 3 })).directory.close({ cleanBrokerEpoch: 7 })
    const before = await readFile(disk, `${PATH}/meta.json`)
    await expect(open(disk, { nodeId: 4 })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/node 3 .*id 4/) as string,
    })
    expect(await readFile(disk, `${PATH}/meta.json`)).toEqual(before)
    expect(await names(disk)).toContain('clean-shutdown')
    expect(await names(disk)).not.toContain('lock')
  })

  it('STO-23: a newer format version -> refused with both versions, nothing rewritten', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory(PATH)
    const path = `${PATH}/meta.json`
    const later = new AtomicFile({ fileSystem: disk, cpu, path, format: 'data-directory', version: 9 })
    await later.write({ shape: 'unknown' })
    const before = await readFile(disk, path)
    await expect(open(disk)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      message: expect.stringMatching(/version 9; .* up to 1/) as string,
    })
    expect(await readFile(disk, path)).toEqual(before)
  })

  it('STO-23: another cluster id -> refused with both; none yet -> adopted for good', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    expect(directory.clusterId).toBeNull()
    directory.expectClusterId('any')
    await directory.adoptClusterId('cluster-a')
    expect(directory.clusterId).toBe('cluster-a')
    const { directory: again } = await open(disk.afterPowerLoss())
    expect(again.clusterId).toBe('cluster-a')
    expect(again.directoryId).toBe(directory.directoryId)
    again.expectClusterId('cluster-a')
    const refused = expect.objectContaining({
      code: 'INCONSISTENT_CLUSTER_ID',
      message: expect.stringMatching(/cluster-a.*cluster-b/) as string,
    }) as Error
    expect(() => again.expectClusterId('cluster-b')).toThrow(refused)
    await expect(again.adoptClusterId('cluster-b')).rejects.toThrow(refused)
  })

  it('the cluster id adopted by two roles at the same moment -> written once, no failure', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await Promise.all([1, 2, 3].map(() => directory.adoptClusterId('cluster-a')))
    expect(directory.clusterId).toBe('cluster-a')
    const { directory: again } = await open(disk.afterPowerLoss())
    expect(again.clusterId).toBe('cluster-a')
  })

  it.each(['', '{"crc32c":"00000000","format"', 'garbage'])(
    'STO-15: meta.json is %j -> refused, not made anew',
    async (content) => {
      const disk = new MemoryFileSystem()
      await (await open(disk)).directory.close({ cleanBrokerEpoch: null })
      await writeFile(disk, `${PATH}/meta.json`, cpu.encodeUtf8(content))
      await expect(open(disk)).rejects.toMatchObject({ code: 'STORAGE_ERROR', retriable: false })
      expect(new TextDecoder().decode(await readFile(disk, `${PATH}/meta.json`))).toBe(content)
    },
  )

  it('STO-15: meta.json is missing although there are logs -> refused', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a'])
    await directory.close({ cleanBrokerEpoch: null })
    await disk.remove(`${PATH}/meta.json`)
    await expect(open(disk)).rejects.toMatchObject({ code: 'STORAGE_ERROR', retriable: false })
    expect(await names(disk)).not.toContain('meta.json')
  })

  it('two new directories -> different ids', async () => {
    const first = await open(new MemoryFileSystem(), { random: seededRandom(1) })
    const second = await open(new MemoryFileSystem(), { random: seededRandom(2) })
    expect(first.directory.directoryId).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(first.directory.directoryId).not.toBe(second.directory.directoryId)
  })

  it('the broker epoch -> durable', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    expect(directory.lastBrokerEpoch).toBeNull()
    await directory.setBrokerEpoch(12)
    expect(directory.lastBrokerEpoch).toBe(12)
    expect((await open(disk.afterPowerLoss())).directory.lastBrokerEpoch).toBe(12)
  })
})
