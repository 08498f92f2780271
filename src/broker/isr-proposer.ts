import type { Sleeper } from '../base/async/sleeper.ts'
import { toVltavaError } from '../model/errors.ts'
import type { BrokerEpoch } from '../model/ids.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { alterPartition } from '../protocol/alter-partition.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import type { IsrAnswer, IsrProposal } from '../replication/isr.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { ControllerLink } from './controller-link.ts'
import type { LeaderRole } from './leader-role.ts'

/** Before a proposal whose fate is not known is sent again. */
const RETRY_PAUSE_MS = 100
const REQUEST_TIMEOUT_MS = 2_000

interface Waiting {
  readonly role: LeaderRole
  readonly proposal: IsrProposal
}

export interface IsrProposerOptions {
  readonly environment: BrokerEnvironment
  readonly link: ControllerLink
  readonly sleeper: Sleeper
  readonly brokerEpoch: () => BrokerEpoch | null
  readonly counters: BrokerCounters
}

/**
 * Sends proposals of the in-sync set to the controller: all that wait in one request, and one request at a time, so
 * that a copy of a proposal is decided after the one sent before it and never the other way round.
 */
export class IsrProposer {
  readonly #options: IsrProposerOptions
  #waiting: Waiting[] = []
  #sending = false

  constructor(options: IsrProposerOptions) {
    this.#options = options
  }

  propose(role: LeaderRole, proposal: IsrProposal): void {
    this.#waiting.push({ role, proposal })
    if (this.#sending) return
    this.#sending = true
    // Leave the caller's step first, and let the proposals of other partitions join.
    this.#options.environment.clock.afterPendingIo(() => {
      this.#drain().catch((error: unknown) =>
        this.#options.environment.process.fail('isr proposals stopped', error),
      )
    })
  }

  async #drain(): Promise<void> {
    const { sleeper } = this.#options
    while (this.#waiting.length > 0 && !sleeper.isStopped) {
      const sent = this.#waiting.splice(0, PARTITIONS_PER_REQUEST_MAX).filter(({ role }) => !role.hasEnded)
      const answers = await this.#send(sent)
      sent.forEach(({ proposal }, i) => {
        this.#count(proposal, answers[i]!)
      })
      const uncertain = sent.map((_, i) => isRetried(answers[i]!))
      sent.forEach(({ role, proposal }, i) => {
        if (!uncertain[i]) role.isrAnswered(proposal, answers[i]!)
      })
      if (uncertain.includes(true)) await sleeper.sleep(RETRY_PAUSE_MS)
      sent.forEach(({ role, proposal }, i) => {
        if (uncertain[i]) role.isrAnswered(proposal, answers[i]!)
      })
    }
    this.#sending = false
  }

  #count({ change }: IsrProposal, answer: IsrAnswer): void {
    const { counters } = this.#options
    if (answer.kind === 'error') counters.failedIsrUpdates++
    else if (change === 'shrink') counters.isrShrinks++
    else if (change === 'expand') counters.isrExpands++
  }

  async #send(sent: readonly Waiting[]): Promise<readonly IsrAnswer[]> {
    const { environment, link, brokerEpoch } = this.#options
    const epoch = brokerEpoch()
    if (sent.length === 0 || epoch === null)
      return sent.map(() => ({ kind: 'error', code: 'REQUEST_TIMED_OUT' }))
    try {
      const partitions = sent.map(({ role, proposal }) => ({
        topicId: role.options.topicId,
        partition: role.options.partition,
        leaderEpoch: proposal.leaderEpoch,
        partitionEpoch: proposal.partitionEpoch,
        isr: proposal.isr.map((member) => ({ brokerId: member.replicaId, brokerEpoch: member.brokerEpoch })),
        reason: proposal.reason.slice(0, 300),
        observedAtMs: environment.clock.wallMs(),
        synced: proposal.change === 'sync',
      }))
      const response = await link.request(
        alterPartition,
        { brokerEpoch: epoch, partitions },
        { timeoutMs: REQUEST_TIMEOUT_MS },
      )
      return sent.map((_, i): IsrAnswer => {
        const answer = response.partitions[i]
        if (answer === undefined) return { kind: 'error', code: 'UNKNOWN_SERVER_ERROR' }
        if (answer.error !== null) return { kind: 'error', code: errorOfWire(answer.error).code }
        return {
          kind: 'committed',
          leaderEpoch: answer.leaderEpoch,
          partitionEpoch: answer.partitionEpoch,
          isr: answer.isr,
          synced: answer.synced,
        }
      })
    } catch (thrown) {
      const { code, message } = toVltavaError(thrown)
      environment.log.warn('alter-partition-failed', { code, reason: message, partitions: sent.length })
      return sent.map(() => ({ kind: 'error', code }))
    }
  }
}

/** Whether the core sends the same proposal again at once; then a pause keeps it from spinning. */
function isRetried(answer: IsrAnswer): boolean {
  return answer.kind === 'error' && answer.code !== 'INELIGIBLE_REPLICA'
}
