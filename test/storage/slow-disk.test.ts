import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/server/config.ts'
import { dynamicSettingsOf, storageSettingsOf } from '../../src/server/role-settings.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT } from '../../src/storage/log-directory.ts'
import { CREATE, openDirectory, P0, P1 } from './directory-fixtures.ts'
import { batchOf, textsOf } from './fixtures.ts'
import { GatedDisk } from './gated-disk.ts'

describe('a disk that does not answer', () => {
  it('STO-18: an fsync of one log hangs -> others of the directory and other directories go on, all is read, nothing more is acknowledged there', async () => {
    const stuck = new GatedDisk()
    const sound = new GatedDisk()
    const { directory } = await openDirectory(stuck.disk)
    const { directory: other } = await openDirectory(sound.disk)
    const [hanging, beside, elsewhere] = [
      await directory.openPartition(P0, CREATE),
      await directory.openPartition(P1, CREATE),
      await other.openPartition(P0, CREATE),
    ]
    stuck.hold({ kind: 'sync', path: '/0/00000000000000000000.log' })
    await hanging.appendAsLeader(batchOf({ text: 'a' }), 1).written
    await stuck.held({ kind: 'sync' })
    for (let i = 0; i < 3; i++) await hanging.appendAsLeader(batchOf({ text: `${i}` }), 1).written
    for (const log of [beside, elsewhere]) {
      await log.appendAsLeader(batchOf({ text: 'b' }), 1).written
      await log.flush()
      expect(log.flushedOffset).toBe(1)
    }
    expect([hanging.logEndOffset, hanging.flushedOffset]).toEqual([4, 0])
    expect(await textsOf(hanging)).toEqual(['a', '0', '1', '2'])
    // One fsync of a log is under way however much waits for it.
    expect(stuck.heldCount({ kind: 'sync' })).toBe(1)
    await stuck.release({ kind: 'sync' })
    stuck.open()
    await hanging.flush()
    expect(hanging.flushedOffset).toBe(4)
  })

  it('STO-18: 64 fsyncs hang -> as many threads as the limit are taken, and files are read all the same', async () => {
    const gated = new GatedDisk()
    const { directory } = await openDirectory(gated.disk, {
      settings: { ...LOG_DIRECTORY_SETTINGS_DEFAULT, tailCacheBytes: 0 },
    })
    const logs = []
    for (let partition = 0; partition < 64; partition++) {
      logs.push(await directory.openPartition({ ...P0, partition }, CREATE))
    }
    for (const log of logs) await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
    for (const log of logs) await log.flush()
    gated.hold({ kind: 'sync' })
    const written = logs.map((log) => log.appendAsLeader(batchOf({ text: 'b' }), 1).written)
    await Promise.all(written)
    for (const log of logs) expect(await textsOf(log)).toEqual(['a', 'b'])
    expect(gated.heldCount({ kind: 'sync' })).toBe(LOG_DIRECTORY_SETTINGS_DEFAULT.flushesMax)
  })

  it.each([1, 2, 4, 16, 128])(
    'STO-18: a pool of %i threads -> the limit of fsyncs lies below it',
    (threads) => {
      const config = readConfig({ flags: {}, environment: {}, file: null })
      const { flushesMax } = storageSettingsOf(config, {
        threadPoolSize: threads,
        dynamic: dynamicSettingsOf(config),
      })
      expect(flushesMax).toBeGreaterThanOrEqual(1)
      expect(flushesMax).toBeLessThanOrEqual(Math.max(1, threads - 1))
    },
  )
})
