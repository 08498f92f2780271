import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import type { ClusterImage, PartitionImage } from '../../../src/metadata/cluster-image.ts'
import { VltavaError } from '../../../src/model/errors.ts'
import { KeptCopies, type WantedMove } from '../../../src/testing/simulation/kept-copies.ts'
import {
  type CopiesOperatorOptions,
  changeRoles,
  moveReplicas,
} from '../../../src/testing/simulation/operator.ts'

const OF = { topic: 't', partition: 0 }

/** The copies of t/0 with an ISR, a move that is under way, and nodes whose copies are spoilt. */
function copiesOf(of: {
  readonly isr: readonly number[]
  readonly move?: { readonly original: readonly number[]; readonly target: readonly number[] }
  readonly spoilt?: readonly number[]
}): { readonly copies: KeptCopies; readonly isKeptWithout: (nodeId: number) => boolean } {
  const partition = { partition: 0, isr: of.isr, reassignment: of.move ?? null } as unknown as PartitionImage
  const image = {
    topicIds: new Map([['t', 'id']]),
    topics: new Map([['id', { name: 't', partitions: [partition] }]]),
  } as unknown as ClusterImage
  const copies = new KeptCopies({ newestMetadata: () => image, spoilt: () => of.spoilt ?? [] })
  return { copies, isKeptWithout: (nodeId) => copies.isKeptByAnother('t', partition, nodeId) }
}

/** An operator of three nodes with t/0, who never pauses. */
function operatorOf({
  admin,
  ...of
}: Pick<CopiesOperatorOptions, 'isStopping' | 'copies'> & { readonly admin: object }): CopiesOperatorOptions {
  return {
    ...of,
    plan: { nodes: 3, thinkMs: 1, topics: [{ name: 't', partitions: 1, replicationFactor: 2 }] },
    by: { client: { admin }, clock: { setTimer: (_: number, act: () => void) => act() } },
    random: seededRandom(1),
    onTrace: () => {},
    onMark: () => {},
  } as unknown as CopiesOperatorOptions
}

describe('copies that are kept', () => {
  it('no move -> those of the other members of the in-sync set', () => {
    expect(copiesOf({ isr: [1, 2] }).isKeptWithout(1)).toBe(true)
    expect(copiesOf({ isr: [1] }).isKeptWithout(1)).toBe(false)
    expect(copiesOf({ isr: [1] }).isKeptWithout(2)).toBe(true)
  })

  it('a move is under way -> those that stay, whether it completes or is cancelled', () => {
    const move = { original: [1, 2, 3], target: [3, 4] }
    const { isKeptWithout } = copiesOf({ isr: [1, 2, 3], move })
    expect(isKeptWithout(1)).toBe(true)
    expect(isKeptWithout(3)).toBe(false)
    const added = copiesOf({ isr: [3, 1], move: { original: [3], target: [1, 2] } })
    expect(added.isKeptWithout(3)).toBe(false)
  })

  it('a move was asked for and not answered -> as if it were under way', () => {
    const { copies, isKeptWithout } = copiesOf({ isr: [1, 2, 3] })
    const move: WantedMove = { ...OF, replicas: [3] }
    expect(copies.ask(move)).toBe(true)
    expect(isKeptWithout(3)).toBe(false)
    expect(copies.ask({ ...OF, replicas: [1, 3] })).toBe(true)
    expect([isKeptWithout(1), isKeptWithout(3)]).toEqual([true, false])
    copies.answered(move)
    expect(isKeptWithout(3)).toBe(true)
  })

  it('a voter may become an observer -> counts as gone until the answer, whatever becomes of the moves', () => {
    const { copies, isKeptWithout } = copiesOf({ isr: [1, 2] })
    const demoted: WantedMove = { ...OF, replicas: [2, 3] }
    expect(copies.ask(demoted, 'roles')).toBe(true)
    copies.answered({ ...OF, replicas: [3] })
    expect([isKeptWithout(1), isKeptWithout(2)]).toEqual([true, false])
    copies.answered(demoted, 'roles')
    expect(isKeptWithout(2)).toBe(true)
  })
})

describe('moves that may be asked for', () => {
  it('a copy is spoilt -> not those that leave it alone', () => {
    const { copies, isKeptWithout } = copiesOf({ isr: [1, 2, 3], spoilt: [3] })
    expect(copies.ask({ ...OF, replicas: [3] })).toBe(false)
    expect(copies.ask({ ...OF, replicas: [3, 4] })).toBe(false)
    // What is not asked for does not count.
    expect(isKeptWithout(3)).toBe(true)
    expect(copies.ask({ ...OF, replicas: [3, 2] })).toBe(true)
    expect(copies.ask({ ...OF, replicas: [2] })).toBe(true)
  })

  it('a copy is spoilt -> no cancellation that goes back to it alone', () => {
    const move = { original: [3], target: [1, 2] }
    const whole = { original: [3, 1], target: [3, 2] }
    expect(copiesOf({ isr: [3, 1], move, spoilt: [3] }).copies.ask({ ...OF, replicas: null })).toBe(false)
    expect(copiesOf({ isr: [3, 1], move: whole, spoilt: [1] }).copies.ask({ ...OF, replicas: null })).toBe(
      true,
    )
  })

  it('an operator moves replicas -> asks before each move, and says when it is answered', async () => {
    const events: string[] = []
    let rounds = 0
    const admin = {
      listReassignments: () => Promise.resolve([]),
      reassignPartitions: () => {
        events.push('move')
        return rounds === 3 ? Promise.reject(new VltavaError('REQUEST_TIMED_OUT')) : Promise.resolve([{}])
      },
    }
    const ask = (): boolean => {
      events.push('ask')
      return rounds !== 2
    }
    const answered = (): void => void events.push('answered')
    await moveReplicas(operatorOf({ admin, isStopping: () => ++rounds > 4, copies: { ask, answered } }))
    expect(events.join(' ')).toBe('ask move answered ask ask move ask move answered')
  })
})

describe('roles that may be asked for', () => {
  it('an operator changes roles -> asks before each demotion; one without an answer may still come', async () => {
    const events: string[] = []
    let rounds = 0
    const admin = {
      promoteReplica: () => Promise.resolve(),
      demoteReplica: () => {
        events.push('demote')
        const code = events.length < 6 ? 'REQUEST_TIMED_OUT' : 'INVALID_REQUEST'
        return events.length < 3 ? Promise.resolve() : Promise.reject(new VltavaError(code))
      },
    }
    const ask = ({ replicas }: WantedMove, by?: string): boolean => {
      expect([replicas?.length, by]).toEqual([2, 'roles'])
      events.push('ask')
      return events.length < 8
    }
    const answered = (): void => void events.push('answered')
    const isStopping = (): boolean => ++rounds > 40 || events.length > 8
    await changeRoles(operatorOf({ admin, isStopping, copies: { ask, answered } }))
    expect(events.join(' ')).toBe('ask demote answered ask demote ask demote answered ask')
  })
})
