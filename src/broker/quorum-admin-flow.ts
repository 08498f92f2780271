import type { Clock } from '../base/clock.ts'
import type { MetadataOffset } from '../model/ids.ts'
import type { Call } from '../net/router.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../protocol/quorum-admin.ts'
import type { ControllerLink } from './controller-link.ts'

export interface QuorumAdminOptions {
  readonly clock: Clock
  readonly link: ControllerLink
  /** Resolves when this broker's image has reached the offset, or when the time is up, whichever is first. */
  readonly whenApplied: (metadataOffset: MetadataOffset, timeoutMs: number) => Promise<void>
}

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>

/** Passes what operators ask of the controller quorum on to the active controller. */
export class QuorumAdminFlow {
  readonly #options: QuorumAdminOptions

  constructor(options: QuorumAdminOptions) {
    this.#options = options
  }

  async describe({ body }: Call<typeof describeQuorum>): Answer<typeof describeQuorum> {
    return { body: await this.#options.link.request(describeQuorum, body, body) }
  }

  /** Answers when this broker knows the voter, too: it may be the next controller. */
  async addVoter({ body }: Call<typeof addVoter>): Answer<typeof addVoter> {
    const startMs = this.#options.clock.monotonicMs()
    const response = await this.#options.link.request(addVoter, body, body)
    await this.#whenApplied(response.metadataOffset, startMs + body.timeoutMs)
    return { body: response }
  }

  async removeVoter({ body }: Call<typeof removeVoter>): Answer<typeof removeVoter> {
    const startMs = this.#options.clock.monotonicMs()
    const response = await this.#options.link.request(removeVoter, body, body)
    await this.#whenApplied(response.metadataOffset, startMs + body.timeoutMs)
    return { body: response }
  }

  async transfer({ body }: Call<typeof transferController>): Answer<typeof transferController> {
    return { body: await this.#options.link.request(transferController, body, body) }
  }

  #whenApplied(metadataOffset: MetadataOffset, deadlineMs: number): Promise<void> {
    const { clock, whenApplied } = this.#options
    return whenApplied(metadataOffset, Math.max(0, deadlineMs - clock.monotonicMs()))
  }
}
