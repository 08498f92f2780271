import type { Clock } from '../base/clock.ts'
import type { MetadataOffset } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { alterConfigs } from '../protocol/configs.ts'
import { electLeaders } from '../protocol/elect-leaders.ts'
import { readMetadataLog } from '../protocol/metadata-log.ts'
import { changeReplicaRole } from '../protocol/replica-role.ts'
import { createTopic, deleteTopic } from '../protocol/topics.ts'
import type { ControllerLink } from './controller-link.ts'

export interface TopicAdminOptions {
  readonly clock: Clock
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
    const deadlineMs = this.#deadlineOf(request)
    const response = await this.#options.link.request(createTopic, request, { timeoutMs: request.timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  async delete(request: RequestOf<typeof deleteTopic>): Promise<ResponseOf<typeof deleteTopic>> {
    const deadlineMs = this.#deadlineOf(request)
    const response = await this.#options.link.request(deleteTopic, request, { timeoutMs: request.timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  async electLeaders(request: RequestOf<typeof electLeaders>): Promise<ResponseOf<typeof electLeaders>> {
    const deadlineMs = this.#deadlineOf(request)
    const response = await this.#options.link.request(electLeaders, request, { timeoutMs: request.timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  async alterConfigs(request: RequestOf<typeof alterConfigs>): Promise<ResponseOf<typeof alterConfigs>> {
    const deadlineMs = this.#deadlineOf(request)
    const response = await this.#options.link.request(alterConfigs, request, { timeoutMs: request.timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  readMetadataLog(request: RequestOf<typeof readMetadataLog>): Promise<ResponseOf<typeof readMetadataLog>> {
    return this.#options.link.request(readMetadataLog, request, { timeoutMs: request.timeoutMs })
  }

  async changeReplicaRole(
    request: RequestOf<typeof changeReplicaRole>,
  ): Promise<ResponseOf<typeof changeReplicaRole>> {
    const deadlineMs = this.#deadlineOf(request)
    const { timeoutMs } = request
    const response = await this.#options.link.request(changeReplicaRole, request, { timeoutMs })
    await this.#whenApplied(response.metadataOffset, deadlineMs)
    return response
  }

  #deadlineOf(request: { readonly timeoutMs: number }): number {
    return this.#options.clock.monotonicMs() + request.timeoutMs
  }

  #whenApplied(metadataOffset: MetadataOffset, deadlineMs: number): Promise<void> {
    return this.#options.whenApplied(
      metadataOffset,
      Math.max(0, deadlineMs - this.#options.clock.monotonicMs()),
    )
  }
}
