// Samples of every file of a data directory, as version 1 writes them. They must never change: a later release reads
// what this one wrote (STO-44). A new version gets samples of its own beside these.
import { describe, expect, it } from 'vitest'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { openDirectory, P0, PATH } from './directory-fixtures.ts'
import { batchOf, readAll, writeFile } from './fixtures.ts'

const LOG = `${PATH}/topics/AAAAAAAAAAAAAAAAAAAAAA/0`
const SETTINGS = { ...LOG_SETTINGS_DEFAULT, segmentBytes: 160, indexIntervalBytes: 0 }

/** By path below the data directory: text as it is, bytes in hex. */
const GOLDEN: Readonly<Record<string, string>> = {
  'broker-epoch': '{"crc32c":"bc452742","format":"broker-epoch","version":1,"data":{"brokerEpoch":17}}\n',
  'clean-shutdown': '{"crc32c":"8b2a3f8b","format":"clean-shutdown","version":1,"data":{"brokerEpoch":17}}\n',
  'high-watermarks':
    '{"crc32c":"c6bd9a83","format":"high-watermarks","version":1,"data":[["AAAAAAAAAAAAAAAAAAAAAA/0",3]]}\n',
  'meta.json':
    '{"crc32c":"ecfb712c","format":"data-directory","version":1,"data":{"clusterId":"CCCCCCCCCCCCCCCCCCCCCC","nodeId":1,"directoryId":"rfSwIt5uFPRc31j7QidtMw"}}\n',
  'recovery-points':
    '{"crc32c":"f90c2a35","format":"recovery-points","version":1,"data":[["AAAAAAAAAAAAAAAAAAAAAA/0",4]]}\n',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/00000000000000000000.index': '0000000000000000000000020000004d',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/00000000000000000000.log':
    '000000000000000000000041000000030260f8971900000000000100000000000003e800000000000003e9ffffffffffffffffffffffffffff000000020e000000010261000e0002020102610000000000000000020000003900000003024dbddfc300000000000000000000000007d000000000000007d0ffffffffffffffffffffffffffff000000010e00000001026200',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/00000000000000000000.timeindex':
    '00000000000003e90000000200000000000007d000000003fffffffffffffffe068901e7',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/00000000000000000003.index': '0000000000000000',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/00000000000000000003.log':
    '000000000000000300000039000000050273b98ba300000000000000000000000005dc00000000000005dcffffffffffffffffffffffffffff000000010e00000001026300',
  'topics/AAAAAAAAAAAAAAAAAAAAAA/0/leader-epochs':
    '{"crc32c":"4dc7f9af","format":"leader-epochs","version":1,"data":[[3,0],[5,3]]}\n',
}

async function written(): Promise<MemoryFileSystem> {
  const disk = new MemoryFileSystem()
  const { directory } = await openDirectory(disk)
  await directory.adoptClusterId('CCCCCCCCCCCCCCCCCCCCCC')
  await directory.setBrokerEpoch(17)
  const log = await directory.openPartition(P0, { create: true, settings: SETTINGS })
  await log.appendAsLeader(batchOf({ text: 'a', records: 2 }), 3).written
  await log.appendAsLeader(batchOf({ text: 'b', timestampMs: 2_000 }), 3).written
  await log.appendAsLeader(batchOf({ text: 'c', timestampMs: 1_500 }), 5).written
  await directory.close({ cleanBrokerEpoch: 17, highWatermarks: new Map([['AAAAAAAAAAAAAAAAAAAAAA/0', 3]]) })
  return disk
}

function shown(disk: MemoryFileSystem, path: string): string {
  const bytes = Buffer.from(disk.peek(`${PATH}/${path}`)!)
  return /\.(log|index|timeindex)$/.test(path) ? bytes.toString('hex') : bytes.toString('utf8')
}

function paths(disk: MemoryFileSystem): string[] {
  return [
    ...disk.peekNames(PATH).filter((name) => disk.peek(`${PATH}/${name}`) !== null),
    ...disk.peekNames(LOG).map((name) => `${LOG.slice(PATH.length + 1)}/${name}`),
  ]
}

describe('files of version 1', () => {
  it('STO-44: written now -> byte for byte as the samples', async () => {
    const disk = await written()
    expect(Object.fromEntries(paths(disk).map((path) => [path, shown(disk, path)]))).toEqual(GOLDEN)
  })

  it('STO-44: the samples -> read as what they were, with and without their indexes', async () => {
    for (const withIndexes of [true, false]) {
      const disk = new MemoryFileSystem()
      await disk.makeDirectory(LOG)
      for (const [path, content] of Object.entries(GOLDEN)) {
        const isHex = /\.(log|index|timeindex)$/.test(path)
        if (!withIndexes && /index$/.test(path)) continue
        await writeFile(disk, `${PATH}/${path}`, new Uint8Array(Buffer.from(content, isHex ? 'hex' : 'utf8')))
      }
      const { directory } = await openDirectory(disk)
      expect([directory.clusterId, directory.cleanShutdownBrokerEpoch, directory.lastBrokerEpoch]).toEqual([
        'CCCCCCCCCCCCCCCCCCCCCC',
        17,
        17,
      ])
      expect(directory.highWatermark(P0)).toBe(3)
      const log = await directory.openPartition(P0, { create: false, settings: SETTINGS })
      expect(await readAll(log)).toEqual([
        { offset: 0, leaderEpoch: 3, text: 'a' },
        { offset: 1, leaderEpoch: 3, text: 'a' },
        { offset: 2, leaderEpoch: 3, text: 'b' },
        { offset: 3, leaderEpoch: 5, text: 'c' },
      ])
      expect(log.epochs.entries).toEqual([
        { epoch: 3, startOffset: 0 },
        { epoch: 5, startOffset: 3 },
      ])
      expect(await log.offsetForTimestamp({ timestampMs: 1_900, endOffset: 4 })).toMatchObject({ offset: 2 })
      expect(log.droppedTail).toBeNull()
    }
  })
})
