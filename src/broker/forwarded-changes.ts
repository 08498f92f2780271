import type { Clock } from '../base/clock.ts'
import type { MetadataOffset } from '../model/ids.ts'
import type { Api } from '../protocol/api.ts'
import type { ControllerLink } from './controller-link.ts'

export interface ForwardedChangesOptions {
  readonly clock: Clock
  readonly link: ControllerLink
  /** Resolves when this broker's image has reached the offset, or when the time is up, whichever is first. */
  readonly whenApplied: (metadataOffset: MetadataOffset, timeoutMs: number) => Promise<void>
}

/** What was changed is in the metadata from this offset on. */
interface Changed {
  readonly metadataOffset: MetadataOffset
}

/**
 * Passes changes on to the active controller, and answers only when this broker knows the result itself, so that the client's
 * next request here finds the topic, or the voter who may be the next controller.
 */
export class ForwardedChanges {
  readonly #options: ForwardedChangesOptions

  constructor(options: ForwardedChangesOptions) {
    this.#options = options
  }

  /** Passes on a request that changes something. */
  async change<Request extends { readonly timeoutMs: number }, Response extends Changed>(
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const { clock, link } = this.#options
    const { timeoutMs } = request
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const response = await link.request(api, request, { timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  #whenApplied(metadataOffset: MetadataOffset, deadlineMs: number): Promise<void> {
    return this.#options.whenApplied(
      metadataOffset,
      Math.max(0, deadlineMs - this.#options.clock.monotonicMs()),
    )
  }
}
