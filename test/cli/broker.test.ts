import { describe, expect, it } from 'vitest'
import { brokerTable, endOf } from '../../src/cli/broker.ts'
import type { BrokerListing } from '../../src/client/broker-admin.ts'
import { VltavaError } from '../../src/model/errors.ts'

const move = { topic: 't', partition: 0, replicas: [2] }
const none = { moves: [], underWay: 0, stuck: [], results: [] }
const refused = { topic: 't', partition: 0, error: new VltavaError('INVALID_REPLICA_ASSIGNMENT', 'test') }
const stuck = [{ topic: 't', partition: 1, reason: 'test' }]

describe('the end of a drain', () => {
  it.each([
    ['nothing is left', none, 'drained'],
    ['moves are under way', { ...none, underWay: 1, stuck }, null],
    ['moves have begun', { ...none, moves: [move], results: [{ ...refused, error: null }] }, null],
    ['all moves were refused', { ...none, moves: [move], results: [refused] }, 'refused'],
    [
      'some were refused',
      { ...none, moves: [move, move], results: [refused, { ...refused, error: null }] },
      null,
    ],
    ['what is left cannot move', { ...none, stuck }, 'stuck'],
  ] as const)('%s', (_what, drained, expected) => {
    expect(endOf(drained)).toBe(expected)
  })
})

describe('the list of brokers', () => {
  const listing = (id: number, change: Partial<BrokerListing> = {}): BrokerListing => ({
    ...{
      id,
      url: `ws://h${id}:1`,
      isFenced: false,
      isController: true,
      rack: null,
      isCordoned: false,
      replicas: 4,
      leaders: 2,
    },
    ...change,
  })

  it('no broker has a rack -> nothing is said of racks', () => {
    expect(brokerTable([listing(1), listing(2, { isFenced: true, leaders: 0 })])).toEqual([
      ['BROKER', 'STATE', 'REPLICAS', 'LEADS', 'ADDRESS'],
      ['1', 'alive, controller', '4', '2', 'ws://h1:1'],
      ['2', 'fenced', '4', '0', 'ws://h2:1'],
    ])
  })

  it('a broker is cordoned -> its state says so beside the rest', () => {
    const brokers = [listing(1, { isCordoned: true }), listing(2, { isCordoned: true, isFenced: true })]
    expect(brokerTable(brokers).map(([, state]) => state)).toEqual([
      'STATE',
      'alive, controller, cordoned',
      'fenced, cordoned',
    ])
  })

  it('a broker has one -> a column', () => {
    const brokers = [listing(1, { rack: 'eu-1a', isController: false }), listing(2)]
    expect(brokerTable(brokers)).toEqual([
      ['BROKER', 'STATE', 'RACK', 'REPLICAS', 'LEADS', 'ADDRESS'],
      ['1', 'alive', 'eu-1a', '4', '2', 'ws://h1:1'],
      ['2', 'alive, controller', '-', '4', '2', 'ws://h2:1'],
    ])
  })
})
