import { describe, expect, it } from 'vitest'
import { type ClusterImage, EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { decideChangeVoters } from '../../src/metadata/decide-change-voters.ts'
import { decideFormCluster } from '../../src/metadata/decide-form-cluster.ts'
import { imageOfRecords, recordsOfImage } from '../../src/metadata/image-snapshot.ts'
import { VOTERS_MAX } from '../../src/model/limits.ts'
import { contextOf, decided, directory, id128 } from './cluster-fixture.ts'

function formed(...voters: readonly number[]): ClusterImage {
  const formation = {
    clusterId: id128('cluster'),
    voters: voters.map((nodeId) => ({ nodeId, directoryId: directory(nodeId) })),
  }
  return decided(EMPTY_IMAGE, decideFormCluster(contextOf(EMPTY_IMAGE), formation))
}

function change(
  image: ClusterImage,
  kind: 'add' | 'remove',
  nodeId: number,
  directoryId = directory(nodeId),
) {
  const url = kind === 'add' ? `ws://controller-${nodeId}:1` : null
  return decideChangeVoters(contextOf(image), { kind, nodeId, directoryId, url })
}

describe('change the voters', () => {
  it('one more, one less -> a record of all that vote from then on, and what the quorum has to agree to', () => {
    const before = formed(1, 2, 3)
    const added = change(before, 'add', 4)
    expect(added.voterChange).toEqual({ kind: 'add', nodeId: 4, directoryId: directory(4) })
    const four = decided(before, added)
    expect(four.voters.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3, 4])
    expect(four.voters.at(-1)?.url).toBe('ws://controller-4:1')
    expect(imageOfRecords(recordsOfImage(four))).toEqual(four)
    const removed = change(four, 'remove', 1)
    expect(removed.records).toMatchObject([{ type: 'voters-changed', cause: { kind: 'operator' } }])
    expect(decided(four, removed).voters.map(({ nodeId }) => nodeId)).toEqual([2, 3, 4])
  })

  it.each([
    ['add', 2, undefined, 'DUPLICATE_VOTER', /votes already/],
    ['add', 2, 'another', 'DUPLICATE_VOTER', /If that one is lost, remove it first/],
    ['remove', 4, undefined, 'VOTER_NOT_FOUND', /does not vote/],
    ['remove', 2, 'another', 'VOTER_NOT_FOUND', /votes with directory/],
  ] as const)('%s node %i with directory %s -> %s', (kind, nodeId, disk, code, message) => {
    const image = formed(1, 2, 3)
    const directoryId = disk === undefined ? directory(nodeId) : id128(disk)
    expect(() => change(image, kind, nodeId, directoryId)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })

  it('the last voter, and one more than there may be -> INVALID_REQUEST', () => {
    expect(() => change(formed(1), 'remove', 1)).toThrow(/is the only voter/)
    const most = Array.from({ length: VOTERS_MAX }, (_, i) => i + 1)
    expect(() => change(formed(...most), 'add', 99)).toThrow(/at most 9 are possible/)
  })
})
