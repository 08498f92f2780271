// The shell that carries proposals of the in-sync set to the controller and its answers back.
import { describe, expect, it } from 'vitest'
import { type Deferred, deferred } from '../../src/base/async/deferred.ts'
import { Sleeper } from '../../src/base/async/sleeper.ts'
import { silentLog } from '../../src/base/log.ts'
import { BrokerCounters } from '../../src/broker/broker-counters.ts'
import type { BrokerEnvironment } from '../../src/broker/broker-environment.ts'
import type { ControllerLink } from '../../src/broker/controller-link.ts'
import { IsrProposer } from '../../src/broker/isr-proposer.ts'
import type { LeaderRole } from '../../src/broker/leader-role.ts'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import type { alterPartition } from '../../src/protocol/alter-partition.ts'
import type { RequestOf, ResponseOf } from '../../src/protocol/api.ts'
import { wireErrorOf } from '../../src/protocol/error-schema.ts'
import type { IsrAnswer, IsrProposal } from '../../src/replication/isr.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

type Request = RequestOf<typeof alterPartition>
type Response = ResponseOf<typeof alterPartition>

/** The controller, which answers when the test says so. */
class Controller {
  readonly requests: Request[] = []
  #answer: Deferred<Response> = deferred()

  request(_api: unknown, body: Request): Promise<Response> {
    this.requests.push(body)
    this.#answer = deferred()
    return this.#answer.promise
  }

  answer(...codes: (ErrorName | null)[]): void {
    const partitions = codes.map((code) => ({
      error: code === null ? null : wireErrorOf(new VltavaError(code)),
      leaderEpoch: 4,
      partitionEpoch: 8,
      isr: [1, 2],
    }))
    this.#answer.resolve({ partitions } as unknown as Response)
  }

  fail(code: ErrorName): void {
    this.#answer.reject(new VltavaError(code))
  }
}

/** A leadership that sends again what is uncertain, as the core does. */
class Leader {
  readonly options: { readonly topicId: string; readonly partition: number }
  readonly answers: IsrAnswer[] = []
  hasEnded = false
  readonly #proposer: () => IsrProposer

  constructor(partition: number, proposer: () => IsrProposer) {
    this.options = { topicId: 'topic', partition }
    this.#proposer = proposer
  }

  get role(): LeaderRole {
    return this as unknown as LeaderRole
  }

  isrAnswered(proposal: IsrProposal, answer: IsrAnswer): void {
    this.answers.push(answer)
    const isUncertain =
      answer.kind === 'error' && ['REQUEST_TIMED_OUT', 'CONNECTION_LOST'].includes(answer.code)
    if (isUncertain && !this.hasEnded) this.#proposer().propose(this.role, proposal)
  }
}

class Shell {
  readonly clock = new ManualClock()
  readonly controller = new Controller()
  readonly counters = new BrokerCounters()
  readonly proposer = new IsrProposer({
    environment: { clock: this.clock, log: silentLog } as unknown as BrokerEnvironment,
    link: this.controller as unknown as ControllerLink,
    sleeper: new Sleeper(this.clock),
    brokerEpoch: () => 7,
    counters: this.counters,
  })

  leader(partition: number): Leader {
    return new Leader(partition, () => this.proposer)
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      this.clock.runPending()
      await Promise.resolve()
    }
  }

  /** The partitions of each request so far. */
  get sent(): number[][] {
    return this.controller.requests.map(({ partitions }) => partitions.map(({ partition }) => partition))
  }
}

const proposal = (change: IsrProposal['change'] = 'expand'): IsrProposal => ({
  leaderEpoch: 4,
  partitionEpoch: 7,
  isr: [
    { replicaId: 1, brokerEpoch: 7 },
    { replicaId: 2, brokerEpoch: 9 },
  ],
  change,
  reason: 'a test',
})
const committed: IsrAnswer = { kind: 'committed', leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2] }

describe('REP-21: proposals on their way', () => {
  it('REP-21: others come while one is under way -> they wait for its answer and go together', async () => {
    const shell = new Shell()
    const [a, b, c] = [shell.leader(0), shell.leader(1), shell.leader(2)]
    shell.proposer.propose(a.role, proposal())
    await shell.settle()
    shell.proposer.propose(b.role, proposal())
    shell.proposer.propose(c.role, proposal('shrink'))
    await shell.settle()
    expect(shell.sent).toEqual([[0]])
    shell.controller.answer(null)
    await shell.settle()
    expect(a.answers).toEqual([committed])
    expect(shell.sent).toEqual([[0], [1, 2]])
    shell.controller.answer('INELIGIBLE_REPLICA', null)
    await shell.settle()
    expect(b.answers).toEqual([{ kind: 'error', code: 'INELIGIBLE_REPLICA' }])
    expect(c.answers).toEqual([committed])
    expect(shell.counters).toMatchObject({ isrExpands: 1, isrShrinks: 1, failedIsrUpdates: 1 })
  })

  it.each(['REQUEST_TIMED_OUT', 'CONNECTION_LOST'] as const)(
    'REP-21: %s, so that nobody knows the outcome -> the very same again, after a pause and not in a loop',
    async (code) => {
      const shell = new Shell()
      const leader = shell.leader(0)
      shell.proposer.propose(leader.role, proposal())
      await shell.settle()
      for (let attempts = 1; attempts < 5; attempts++) {
        shell.controller.fail(code)
        await shell.settle()
        expect(shell.sent).toHaveLength(attempts)
        shell.clock.advance(100)
        await shell.settle()
        expect(shell.sent).toHaveLength(attempts + 1)
      }
      const asked = shell.controller.requests.map(({ partitions }) => partitions.map(({ isr }) => isr))
      expect(new Set(asked.map((isr) => JSON.stringify(isr))).size).toBe(1)
      shell.controller.answer(null)
      await shell.settle()
      expect(leader.answers.at(-1)).toEqual(committed)
    },
  )

  it('REP-21: the leadership ended while the proposal waited -> it is not sent', async () => {
    const shell = new Shell()
    const [a, b] = [shell.leader(0), shell.leader(1)]
    shell.proposer.propose(a.role, proposal())
    await shell.settle()
    shell.proposer.propose(b.role, proposal())
    b.hasEnded = true
    shell.controller.answer(null)
    await shell.settle()
    expect(shell.sent).toEqual([[0]])
    // And the next one of another partition goes as ever.
    shell.proposer.propose(a.role, proposal('shrink'))
    await shell.settle()
    expect(shell.sent).toEqual([[0], [0]])
  })
})
