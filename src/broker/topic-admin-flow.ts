import type { MetadataOffset } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { createTopic, deleteTopic } from '../protocol/topics.ts'
import type { ControllerLink } from './controller-link.ts'

export interface TopicAdminOptions {
  readonly link: ControllerLink
  /** Resolves when this broker's image has reached the offset, or when the time is up, whichever is first. */
  readonly whenApplied: (metadataOffset: MetadataOffset, timeoutMs: number) => Promise<void>
}

/**
 * Passes topic requests on to the active controller, and answers only when this broker knows the result itself, so
 * that the client's next request here finds the topic.
 */
export class TopicAdminFlow {
  readonly #options: TopicAdminOptions

  constructor(options: TopicAdminOptions) {
    this.#options = options
  }

  async create(request: RequestOf<typeof createTopic>): Promise<ResponseOf<typeof createTopic>> {
    const response = await this.#options.link.request(createTopic, request, { timeoutMs: request.timeoutMs })
    await this.#options.whenApplied(response.metadataOffset, request.timeoutMs)
    return response
  }

  async delete(request: RequestOf<typeof deleteTopic>): Promise<ResponseOf<typeof deleteTopic>> {
    const response = await this.#options.link.request(deleteTopic, request, { timeoutMs: request.timeoutMs })
    await this.#options.whenApplied(response.metadataOffset, request.timeoutMs)
    return response
  }
}
