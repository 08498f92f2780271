import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import type { ClusterImage } from '../../../src/metadata/cluster-image.ts'
import { MemoryFileSystem } from '../../../src/storage/memory-file-system.ts'
import { BitFlips, type BitFlipsOptions } from '../../../src/testing/simulation/bit-flips.ts'
import type { SimulatedNode } from '../../../src/testing/simulation/simulated-node.ts'
import { cpu, stamped } from '../../storage/fixtures.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
const DIRECTORY = `/data/topics/${TOPIC_ID}/0`
const PATH = `${DIRECTORY}/00000000000000000000.log`
/** More than a sector each, so that some of one can be lost and some not. */
const BATCHES = [0, 1, 2].map((offset) =>
  stamped({ text: `${offset}`, paddingBytes: 1_500, offset, leaderEpoch: 1 }),
)
const SIZE = BATCHES[0]!.length

const IMAGE = {
  topicIds: new Map([['t', TOPIC_ID]]),
  topics: new Map([
    [
      TOPIC_ID,
      { topicId: TOPIC_ID, name: 't', configs: new Map(), partitions: [{ partition: 0, isr: [1, 2] }] },
    ],
  ]),
} as unknown as ClusterImage

/** A log of three batches, of which so many are fsynced. */
async function logOf({ synced }: { readonly synced: number }): Promise<MemoryFileSystem> {
  const disk = new MemoryFileSystem()
  await disk.makeDirectory(DIRECTORY)
  for (let at = DIRECTORY; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) await disk.syncDirectory(at)
  await disk.syncDirectory('/')
  const handle = await disk.open(PATH, 'create')
  await disk.syncDirectory(DIRECTORY)
  for (const [i, batch] of BATCHES.entries()) {
    await handle.write([batch], i * SIZE)
    if (i < synced) await handle.sync()
  }
  await handle.close()
  return disk
}

/** The batches that are hit in many tries, all of which are committed. */
async function hitsOn(
  disk: () => Promise<MemoryFileSystem>,
  isKeptByAnother: BitFlipsOptions['isKeptByAnother'] = () => true,
): Promise<readonly number[]> {
  const hits = new Set<number>()
  for (let seed = 1; seed <= 40; seed++) {
    const fileSystem = await disk()
    const node = { id: 1, name: 'node-1', disk: { fileSystem } } as unknown as SimulatedNode
    const flips = new BitFlips({
      cluster: { nodes: [node] },
      newestMetadata: () => IMAGE,
      committedEnd: () => BATCHES.length,
      logStartOf: () => 0,
      isKeptByAnother,
      cpu,
      random: seededRandom(seed),
      onTrace: () => {},
    })
    if (!flips.strike(node)) continue
    expect(flips.left).toEqual([`node-1 ${TOPIC_ID}/0`])
    expect(flips.nodesLeft('t', 0)).toEqual([1])
    expect(flips.strike(node)).toBe(false)
    hits.add(Math.floor(fileSystem.flippedPositions(PATH)[0]! / SIZE))
  }
  return [...hits].sort((a, b) => a - b)
}

describe('what bits are flipped in', () => {
  it('batches that fsynced ones follow', async () => {
    expect(await hitsOn(() => logOf({ synced: 3 }))).toEqual([0, 1])
    expect(await hitsOn(() => logOf({ synced: 2 }))).toEqual([0])
    expect(await hitsOn(() => logOf({ synced: 1 }))).toEqual([])
  })

  it('nobody else keeps a copy -> none', async () => {
    const asked: unknown[] = []
    const isKeptByAnother: BitFlipsOptions['isKeptByAnother'] = (topic, { partition }, nodeId) => {
      asked.push([topic, partition, nodeId])
      return false
    }
    expect(await hitsOn(() => logOf({ synced: 3 }), isKeptByAnother)).toEqual([])
    expect(asked[0]).toEqual(['t', 0, 1])
  })

  it('the power was lost, and the node has not started again -> not the batch before one that is torn', async () => {
    const torn = async (): Promise<MemoryFileSystem> =>
      (await logOf({ synced: 2 })).afterPowerLoss({
        size: (_path, _durableBytes, writtenBytes) => writtenBytes,
        sector: (_path, index) => (index % 2 === 0 ? 'kept' : 'lost'),
      })
    expect(await hitsOn(torn)).toEqual([0])
  })
})
