// Requests that any broker can answer: metadata, and what brokers pass on to the controller.
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { ClusterView } from './cluster-view.ts'
import type { BrokerAddress, Connections } from './connections.ts'
import { retryAction } from './retry.ts'

export interface AnyBrokerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly connections: Connections
  readonly view: ClusterView
  /** The addresses the user gave. */
  readonly bootstrapUrls: readonly string[]
}

export interface Ask<T> {
  /** Sends the request on the connection it is given and answers within the time it is given. */
  readonly request: (connection: Connection, timeoutMs: number) => Promise<T>
  /** The most one broker may take, in milliseconds, so that one that hangs does not use up the time for all. */
  readonly attemptTimeoutMs: number
  /** When to stop, in the clock's monotonic milliseconds. */
  readonly deadlineMs: number
  /**
   * Brokers that may be behind the others, as a leader that was replaced without knowing. They are asked after all others
   * that can be reached, and who has an open connection does not come first then: it may be one more of them.
   */
  readonly notFirst?: ReadonlySet<NodeId>
}

/** Finds a broker that answers, wherever it is known from. */
export class AnyBroker {
  readonly #options: AnyBrokerOptions

  constructor(options: AnyBrokerOptions) {
    this.#options = options
  }

  /**
   * Asks one broker after the other until one answers: first those with an open connection, then the others that are
   * known, then the bootstrap servers, and last those that failed a moment ago. An error that is not retriable is an
   * answer too.
   * @throws VltavaError what the last broker answered; where none could be reached, BOOTSTRAP_UNREACHABLE (until one
   *   ever could) or CONNECTION_FAILED, naming each address and why.
   */
  async ask<T>(ask: Ask<T>): Promise<T> {
    const { clock, connections, view } = this.#options
    const failures = new Map<string, string>()
    let answered: VltavaError | null = null
    for (const address of this.#candidates(ask.notFirst ?? new Set())) {
      const leftMs = ask.deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) break
      let connection: Connection | null = null
      try {
        connection = await connections.dial(address)
        const timeoutMs = Math.min(ask.attemptTimeoutMs, ask.deadlineMs - clock.monotonicMs())
        return await ask.request(connection, Math.max(1, Math.ceil(timeoutMs)))
      } catch (thrown) {
        const error = toVltavaError(thrown)
        // What keeps one address from being used, such as another cluster there, says nothing about the others.
        const isAnswer = connection !== null || error.code === 'CLOSED'
        if (isAnswer && retryAction(error) === 'fail') throw error
        if (isAnswer) answered = error
        failures.set(address.url, error.message)
      }
    }
    if (answered !== null) throw answered
    const isBootstrap = view.clusterId === null
    const each = [...failures].map(([url, why]) => `${url} (${withoutStop(why)})`).join('; ')
    const tried = each === '' ? 'the time was up before any could be tried' : each
    const message = isBootstrap
      ? `None of the bootstrap servers answered: ${tried}. Check the addresses, and that the brokers run.`
      : `None of the brokers answered: ${tried}.`
    throw new VltavaError(isBootstrap ? 'BOOTSTRAP_UNREACHABLE' : 'CONNECTION_FAILED', message)
  }

  /** Shuffled within each group, so that the clients of a cluster do not all burden the same broker. */
  #candidates(notFirst: ReadonlySet<NodeId>): readonly BrokerAddress[] {
    const { connections, view, bootstrapUrls } = this.#options
    const known: readonly BrokerAddress[] = view.brokers().filter(({ fenced }) => !fenced)
    const bootstrap: readonly BrokerAddress[] = bootstrapUrls.map((url) => ({ url, brokerId: null }))
    const last = new Set([...notFirst].map((brokerId) => view.broker(brokerId)?.url))
    const rank = (address: BrokerAddress): number => {
      const isOpen = connections.openTo(address) !== null
      if (!isOpen && connections.isResting(address)) return 3
      if (last.has(address.url)) return 2
      return isOpen || last.size > 0 ? 0 : 1
    }
    const candidates = [...this.#shuffled(known), ...this.#shuffled(bootstrap)]
    // A stable sort: within a rank, the known brokers stay before the bootstrap servers. Where an address is both, the
    // known broker stands for it.
    const byUrl = new Map(candidates.toReversed().map((address) => [address.url, address]))
    return candidates
      .filter((address) => byUrl.get(address.url) === address)
      .toSorted((a, b) => rank(a) - rank(b))
  }

  #shuffled(addresses: readonly BrokerAddress[]): readonly BrokerAddress[] {
    const shuffled = [...addresses]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.#options.random.below(i + 1)
      const swapped = shuffled[i]!
      shuffled[i] = shuffled[j]!
      shuffled[j] = swapped
    }
    return shuffled
  }
}

function withoutStop(message: string): string {
  return message.endsWith('.') ? message.slice(0, -1) : message
}
