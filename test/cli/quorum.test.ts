import { describe, expect, it } from 'vitest'
import { showQuorum, votersText } from '../../src/cli/quorum.ts'

describe('vltava quorum describe', () => {
  it('shows who leads, who votes, who follows, and a disk that was never heard', () => {
    const member = { url: null, isVoter: true, endOffset: 1_200, silentMs: 80, isCaughtUp: true }
    const text = showQuorum({
      leaderId: 2,
      term: 7,
      committedOffset: 1_200,
      members: [
        { ...member, nodeId: 1, directoryId: 'AAAAAAAAAAAAAAAAAAAAAA', endOffset: 1_150 },
        { ...member, nodeId: 2, directoryId: 'BBBBBBBBBBBBBBBBBBBBBB', silentMs: 0 },
        {
          ...member,
          nodeId: 3,
          directoryId: 'CCCCCCCCCCCCCCCCCCCCCC',
          endOffset: 0,
          silentMs: null,
          isCaughtUp: false,
        },
        {
          ...member,
          nodeId: 3,
          directoryId: 'DDDDDDDDDDDDDDDDDDDDDD',
          isVoter: false,
          url: 'ws://10.0.0.3:7101',
        },
      ],
    })
    expect(text.split('\n')).toEqual([
      'Node 2 is the active controller of term 7; metadata offset 1,200 is committed.',
      'NODE  ROLE                DIRECTORY               END    LAG    HEARD      ADDRESS',
      '1     voter               AAAAAAAAAAAAAAAAAAAAAA  1,150  50     80 ms ago  -',
      '2     leader              BBBBBBBBBBBBBBBBBBBBBB  1,200  0      0 ms ago   -',
      '3     voter               CCCCCCCCCCCCCCCCCCCCCC  0      1,200  never      -',
      '3     learner, caught up  DDDDDDDDDDDDDDDDDDDDDD  1,200  0      80 ms ago  ws://10.0.0.3:7101',
    ])
  })

  it.each([
    [[1], 'Voters: 1; none of them may fail.'],
    [[2, 1], 'Voters: 1, 2; none of them may fail (an odd number of voters bears more for its size).'],
    [[3, 1, 2], 'Voters: 1, 2, 3; one of them may fail.'],
    [[1, 2, 3, 4, 5], 'Voters: 1, 2, 3, 4, 5; 2 of them may fail.'],
  ])('voters %j -> what they bear', (voters, text) => {
    expect(votersText(voters)).toBe(text)
  })
})
