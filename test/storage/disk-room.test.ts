import { beforeEach, describe, expect, it } from 'vitest'
import { DISK_ROOM_SETTINGS_DEFAULT, DiskRoom, type DiskRoomSettings } from '../../src/storage/disk-room.ts'
import type { DiskSpace } from '../../src/storage/file-system.ts'
import { posixError } from '../../src/storage/memory-file-system.ts'
import { StorageFailure } from '../../src/storage/storage-failure.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { settled } from './gated-disk.ts'

const GIB = 2 ** 30
const ENOSPC = posixError('ENOSPC', '/data/file')

let clock: ManualClock
let log: RecordingLog
let failure: StorageFailure
let found: DiskSpace | Error
let looks: number

beforeEach(() => {
  clock = new ManualClock()
  log = new RecordingLog()
  failure = new StorageFailure()
  looks = 0
})

/** Of a disk of 100 GiB, so that a percent is a GiB. */
function used(percent: number, totalBytes = 100 * GIB): void {
  found = { totalBytes, availableBytes: Math.round((totalBytes * (100 - percent)) / 100) }
}

async function started(settings: Partial<DiskRoomSettings> = {}): Promise<DiskRoom> {
  const room = new DiskRoom({
    fileSystem: {
      async space() {
        looks++
        if (found instanceof Error) throw found
        return found
      },
    },
    path: '/data',
    clock,
    log,
    failure,
    settings: { ...DISK_ROOM_SETTINGS_DEFAULT, ...settings },
  })
  await room.start()
  return room
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await settled()
}

/** The next look at the disk, which now finds this. */
async function later(percent: number, totalBytes?: number): Promise<void> {
  used(percent, totalBytes)
  await pass(DISK_ROOM_SETTINGS_DEFAULT.checkIntervalMs)
}

function takes(room: DiskRoom, bytes = 1): boolean {
  try {
    room.checkRoom(bytes)
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'DISK_FULL', retriable: true, definite: true })
    return false
  }
}

const events = (): string[] => log.events.map(({ event }) => event)

describe('disk room', () => {
  it('STO-16: filling and freed -> one warning at 85 %, no records from 95 % on, and again by itself below', async () => {
    used(50)
    const room = await started()
    expect(takes(room)).toBe(true)
    await later(84)
    expect(events()).toEqual([])
    for (const percent of [86, 90, 94.9]) await later(percent)
    expect(events()).toEqual(['disk-filling'])
    expect(takes(room)).toBe(true)
    expect(room.refusal).toBeNull()
    for (const percent of [95.1, 97, 100]) await later(percent)
    expect(events()).toEqual(['disk-filling', 'disk-full'])
    expect(takes(room)).toBe(false)
    expect(room.refusal).toMatch(
      /disk is 100 % full and has 0 bytes left, and 5.0 GiB must stay free.*Free space/,
    )
    await later(90)
    expect(takes(room)).toBe(true)
    await later(50)
    expect(events()).toEqual(['disk-filling', 'disk-full', 'disk-has-room', 'disk-has-room'])
  })

  it('STO-16: around a limit -> a crossing counts once; a percent more must be free before it is taken back', async () => {
    used(95.1)
    const room = await started()
    expect(events()).toEqual(['disk-full'])
    for (const percent of [94.9, 95.1, 94.5, 95]) await later(percent)
    expect(takes(room)).toBe(false)
    expect(events()).toEqual(['disk-full'])
    await later(93.9)
    expect(takes(room)).toBe(true)
    expect(events()).toEqual(['disk-full', 'disk-has-room'])
  })

  it('STO-16: a huge disk -> not more than the reserve must stay free', async () => {
    const totalBytes = 10_000 * GIB
    used(99.8, totalBytes)
    const room = await started()
    expect(takes(room)).toBe(true)
    expect(events()).toEqual(['disk-filling'])
    await later(99.95, totalBytes)
    expect(takes(room)).toBe(false)
    expect(room.refusal).toMatch(/10\.0 GiB must stay free/)
  })

  it('maxPercent 100 -> no limit but the end of the disk', async () => {
    used(99.999)
    const room = await started({ maxPercent: 100, warnPercent: 100 })
    expect(takes(room)).toBe(true)
    expect(events()).toEqual([])
  })

  it('STO-16: more comes between two looks than there is room for -> refused at once, a look tells how it is', async () => {
    used(94)
    const room = await started()
    const looked = looks
    expect(takes(room, 0.9 * GIB)).toBe(true)
    expect(takes(room, 0.2 * GIB)).toBe(false)
    // The others were refused or compacted away: there is room.
    await pass(0)
    expect(looks).toBe(looked + 1)
    expect(takes(room, 0.9 * GIB)).toBe(true)
    used(94.9)
    expect(takes(room, 0.2 * GIB)).toBe(false)
    await pass(0)
    expect(takes(room, 0.05 * GIB)).toBe(true)
    expect(takes(room, 0.2 * GIB)).toBe(false)
  })

  it('STO-16: a write finds no room although there should be some (a quota) -> refused for some looks, then tried again', async () => {
    used(50)
    const room = await started()
    room.writeFailed(posixError('EIO', '/data/file'))
    expect(takes(room)).toBe(true)
    room.writeFailed(ENOSPC)
    expect(takes(room)).toBe(false)
    expect(room.refusal).toMatch(/a write found no room/)
    await later(50)
    expect(takes(room)).toBe(false)
    for (let i = 0; i < 4; i++) await later(50)
    expect(takes(room)).toBe(true)
    expect(events()).toEqual(['disk-full', 'disk-has-room'])
  })

  it('the figures cannot be had -> said once, and only a write that fails tells that the disk is full', async () => {
    found = posixError('ENOSYS', '/data')
    const room = await started()
    for (let i = 0; i < 3; i++) await pass(1_000)
    expect(events()).toEqual(['disk-space-unknown'])
    expect(takes(room, 10 ** 15)).toBe(true)
    room.writeFailed(ENOSPC)
    expect(takes(room)).toBe(false)
    await pass(5_000)
    await pass(1_000)
    expect(takes(room)).toBe(true)
    await later(96)
    expect(takes(room)).toBe(false)
  })

  it('STO-17: the directory is gone -> the directory has failed, with what to do', async () => {
    used(50)
    await started()
    const told: unknown[] = []
    failure.onTrip((error) => told.push(error))
    found = posixError('ENOENT', '/data')
    await pass(1_000)
    expect(told).toEqual([
      expect.objectContaining({
        code: 'STORAGE_ERROR',
        message: expect.stringMatching(/directory \/data was removed.*Restart the node/),
      }),
    ])
  })

  it('stopped -> no timer is left, also when a look is under way', async () => {
    used(50)
    const room = await started()
    room.stop()
    room.writeFailed(ENOSPC)
    const before = looks
    await pass(60_000)
    expect(looks).toBe(before)
    expect(clock.pendingTimers).toBe(0)
  })
})
