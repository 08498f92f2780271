import { describe, expect, it } from 'vitest'
import { metadataRecordSchema } from '../../src/metadata/metadata-records.ts'
import { snapshotRecordSchema } from '../../src/metadata/snapshot-records.ts'
import { RACK_MAX_CHARACTERS } from '../../src/model/limits.ts'
import { checkRack, rackSchema } from '../../src/model/rack.ts'
import { registerBroker } from '../../src/protocol/broker-lifecycle.ts'
import { clusterMetadata } from '../../src/protocol/cluster-metadata.ts'
import type { Schema } from '../../src/schema/schema.ts'
import { brokerImage } from '../testing/simulation/invariants/fixtures.ts'

describe('the rack of a broker', () => {
  it.each([null, 'a', 'eu-central-1a', 'room 4, rack 12', '~', 'x'.repeat(RACK_MAX_CHARACTERS)])(
    '%j -> allowed, and stays as it is on its way',
    (rack) => {
      expect(() => checkRack(1, rack)).not.toThrow()
      expect(rackSchema.decode(rackSchema.encode(rack), 'rack')).toBe(rack)
    },
  )

  it.each(['', ' ', ' a', 'a ', 'a\n', 'a\u007f', 'é', 'x'.repeat(RACK_MAX_CHARACTERS + 1)])(
    '%j -> refused, with what is allowed and whose it is',
    (rack) => {
      expect(() => checkRack(7, rack)).toThrow(
        expect.objectContaining({
          code: 'INVALID_REQUEST',
          message: expect.stringMatching(/^The rack of broker 7 must be 1 to 249 printable.*broker\.rack\.$/),
        }),
      )
    },
  )
})

describe('a broker without a rack', () => {
  const id = 'x'.repeat(22)
  const cause = { kind: 'broker-registered', observerId: 1, observedAtMs: 1, detail: 'test' } as const
  const run = { incarnationId: id, directoryId: id, url: 'ws://a:1' }
  const image = { ...brokerImage(1), ...run }
  const seen = { brokerId: 1, url: 'ws://a:1', fenced: false, isController: true, cordoned: false }
  const answer = { clusterId: id, metadataOffset: 1, controllerId: 1, topics: [] }

  /** What holds the rack, and where among its fields. */
  const holders: readonly (readonly [string, Schema<never>, (rack: string | null) => unknown, number[]])[] = [
    [
      'the record of its registration',
      metadataRecordSchema as Schema<never>,
      (rack) => ({ type: 'broker-registered', brokerId: 1, brokerEpoch: 1, ...run, cause, rack }),
      [1, 6],
    ],
    [
      'a snapshot',
      snapshotRecordSchema as Schema<never>,
      (rack) => ({ type: 'broker', ...image, rack }),
      [1, 9],
    ],
    [
      'its request',
      registerBroker.request as Schema<never>,
      (rack) => ({ ...run, previousBrokerEpoch: null, cleanShutdown: false, rack }),
      [5],
    ],
    [
      'an answer to clients',
      clusterMetadata.response as Schema<never>,
      (rack) => ({ ...answer, brokers: [{ ...seen, rack }] }),
      [3, 0, 4],
    ],
  ]
  it.each(holders)(
    '%s has nothing of it, as before there were racks; one that has it has it last',
    (...of) => {
      const [, schema, withRack, place] = of
      for (const rack of [null, 'eu-1a']) {
        const wire = schema.encode(withRack(rack) as never)
        const fields = place.slice(0, -1).reduce<unknown>((at, i) => (at as readonly unknown[])[i], wire)
        expect((fields as readonly unknown[]).slice(place.at(-1))).toEqual(rack === null ? [] : [rack])
        expect(schema.decode(wire, 'message')).toEqual(withRack(rack))
      }
    },
  )
})
