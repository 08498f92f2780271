import { describe, expect, it } from 'vitest'
import type { BrokerEnvironment } from '../../src/broker/broker-environment.ts'
import { ControllerLink, controllersKnown } from '../../src/broker/controller-link.ts'
import { EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { describeQuorum } from '../../src/protocol/quorum-admin.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { id128, registered } from '../metadata/cluster-fixture.ts'

const voter = (nodeId: number, url: string | null = null) => ({
  nodeId,
  directoryId: id128(`disk ${nodeId}`),
  url,
})
const listed = [
  { nodeId: 1, url: 'ws://one:1' },
  { nodeId: 2, url: 'ws://two:1' },
]

describe('whom a broker asks for the active controller', () => {
  it('no metadata yet -> those it was given, all of whom count', () => {
    expect(controllersKnown(listed, EMPTY_IMAGE)).toEqual(
      listed.map((known) => ({ ...known, isVoter: true })),
    )
  })

  it('voters that were added -> where they said, else where their broker is; one that was removed does not count', () => {
    const image = { ...registered(EMPTY_IMAGE, 4), voters: [voter(2), voter(3, 'ws://three:1'), voter(4)] }
    expect(controllersKnown(listed, image)).toEqual([
      { nodeId: 1, url: 'ws://one:1', isVoter: false },
      { nodeId: 2, url: 'ws://two:1', isVoter: true },
      { nodeId: 3, url: 'ws://three:1', isVoter: true },
      { nodeId: 4, url: image.brokers.get(4)!.url, isVoter: true },
    ])
  })

  it('nobody leads -> who must run are the voters, not all that were asked', async () => {
    const clock = new ManualClock()
    const link = new ControllerLink({
      environment: { clock } as unknown as BrokerEnvironment,
      connectPeer: () => Promise.reject(new VltavaError('CONNECTION_FAILED')),
      voters: () => controllersKnown(listed, { ...EMPTY_IMAGE, voters: [voter(2), voter(3)] }),
    })
    const text = 'No active controller was found within 0 ms (voters 2, 3); a majority of them must run.'
    await expect(link.request(describeQuorum, { timeoutMs: 0 }, { timeoutMs: 0 })).rejects.toMatchObject({
      code: 'REQUEST_TIMED_OUT',
      message: expect.stringContaining(text),
    })
  })
})
