import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { silentLog } from '../../src/base/log.ts'
import type { BrokerEnvironment } from '../../src/broker/broker-environment.ts'
import type { ControllerLink } from '../../src/broker/controller-link.ts'
import { type ImageChange, MetadataFollower } from '../../src/broker/metadata-follower.ts'
import { encodeSnapshot } from '../../src/controller/metadata-snapshot.ts'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { metadataBatchSchema } from '../../src/metadata/metadata-records.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { fetchMetadata, fetchSnapshot } from '../../src/protocol/broker-lifecycle.ts'
import { encodeWire } from '../../src/protocol/codec.ts'
import { MemoryProcess } from '../../src/testing/memory-process.ts'
import { id128 } from '../metadata/cluster-fixture.ts'
import { obey, startingImage } from '../metadata/random-cluster.ts'

const cpu = createNodeCpu(null)
const TERM = 3

function bytesOf(image: ClusterImage): Uint8Array {
  return concatBytes([...encodeSnapshot({ image, term: TERM }, { cpu, wallMs: 5 })])
}

/** Follows a controller that dropped everything up to the image, and has one more entry; stops after that one. */
async function follow(
  image: ClusterImage,
  partOf: (bytes: Uint8Array, position: number, request: number) => Uint8Array,
): Promise<{
  readonly changes: readonly ImageChange[]
  readonly pauses: number
  readonly process: MemoryProcess
}> {
  const bytes = bytesOf(image)
  const changes: ImageChange[] = []
  const process = new MemoryProcess()
  let pauses = 0
  let requests = 0
  const link = {
    request(
      api: unknown,
      request: { readonly fromOffset: number; readonly position: number },
    ): Promise<unknown> {
      if (api === fetchSnapshot) return Promise.resolve({ part: partOf(bytes, request.position, requests++) })
      expect(api).toBe(fetchMetadata)
      const isGone = request.fromOffset <= image.metadataOffset
      const snapshot = { metadataOffset: image.metadataOffset, term: TERM, sizeBytes: bytes.length }
      const entry = encodeWire(metadataBatchSchema, [])
      return Promise.resolve({ entries: isGone ? [] : [entry], snapshot: isGone ? snapshot : null })
    },
    pause(): Promise<void> {
      if (++pauses > 5) follower.stop()
      return Promise.resolve()
    },
  }
  const follower: MetadataFollower = new MetadataFollower({
    environment: { cpu, log: silentLog, process } as unknown as BrokerEnvironment,
    link: link as unknown as ControllerLink,
    onImage: (change) => {
      changes.push(change)
      if (change.after.metadataOffset > image.metadataOffset) follower.stop()
    },
  })
  await follower.run()
  return { changes, pauses, process }
}

const inParts = (bytes: Uint8Array, position: number): Uint8Array => bytes.subarray(position, position + 100)

describe('a broker whose controller has dropped the log', () => {
  const before = startingImage()
  const deletedId = before.topicIds.get('a')!
  const image = obey(before, { type: 'delete', name: 'a' })

  it('RAFT-38: begins with the snapshot and goes on behind it', async () => {
    const { changes, pauses } = await follow(image, inParts)
    expect(pauses).toBe(0)
    expect(changes.map(({ after }) => after.metadataOffset)).toEqual([
      image.metadataOffset,
      image.metadataOffset + 1,
    ])
    expect(changes[0]!.after).toEqual(image)
  })

  it('STO-24: was away while a topic was deleted -> hears of that deletion, and of no other', async () => {
    const { changes } = await follow(image, inParts)
    expect(changes.map(({ deletedTopics }) => deletedTopics)).toEqual([[deletedId], []])
    const untouched = await follow({ ...image, deletedTopics: new Map([[id128('other'), 2]]) }, inParts)
    expect(untouched.changes[0]!.deletedTopics).toEqual([id128('other')])
  })

  it('a part that is damaged, empty or too long -> nothing is taken over, and it asks again', async () => {
    const damaged = (bytes: Uint8Array, position: number): Uint8Array => {
      const part = new Uint8Array(inParts(bytes, position))
      if (position === 100) part[50]! ^= 1
      return part
    }
    for (const partOf of [
      damaged,
      () => new Uint8Array(0),
      (bytes: Uint8Array) => concatBytes([bytes, bytes]),
    ]) {
      const { changes, pauses, process } = await follow(image, partOf)
      expect(changes).toEqual([])
      expect(pauses).toBe(6)
      expect(process.failures).toEqual([])
    }
  })

  it('the controller changes in the middle -> begins anew', async () => {
    const { changes, pauses } = await follow(image, (bytes, position, request) => {
      if (request === 2) throw new VltavaError('SNAPSHOT_NOT_FOUND')
      return inParts(bytes, position)
    })
    expect(pauses).toBe(1)
    expect(changes[0]!.after).toEqual(image)
  })
})
