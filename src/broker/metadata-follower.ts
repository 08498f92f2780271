import type { ClusterImage } from '../metadata/cluster-image.ts'
import { EMPTY_IMAGE } from '../metadata/cluster-image.ts'
import { applyBatch } from '../metadata/image-apply.ts'
import { metadataBatchSchema } from '../metadata/metadata-records.ts'
import { toVltavaError } from '../model/errors.ts'
import type { MetadataOffset, TopicId } from '../model/ids.ts'
import { fetchMetadata } from '../protocol/broker-lifecycle.ts'
import { decodeWire } from '../protocol/codec.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { ControllerLink } from './controller-link.ts'
import { downloadSnapshot } from './snapshot-fetch.ts'

/** A parked metadata fetch returns at the latest after this; it bounds how long a silent controller is trusted. */
const FETCH_WAIT_MS = 1_000
const FETCH_MAX_BYTES = 4 * 1024 * 1024
const RETRY_PAUSE_MS = 50

export interface MetadataFollowerOptions {
  readonly environment: BrokerEnvironment
  readonly link: ControllerLink
  /** Called after each fetch that brought something. */
  readonly onImage: (change: ImageChange) => void
}

export interface ImageChange {
  readonly before: ClusterImage
  readonly after: ClusterImage
  /** Topics whose deletion was committed in between; also those that a snapshot tells of. */
  readonly deletedTopics: readonly TopicId[]
}

type Fetched =
  | { readonly kind: 'entries'; readonly entries: readonly (Uint8Array | null)[] }
  | { readonly kind: 'snapshot'; readonly image: ClusterImage }

/** Follows the committed metadata log of the active controller and keeps this broker's image of the cluster. */
export class MetadataFollower {
  readonly #options: MetadataFollowerOptions
  #image: ClusterImage = EMPTY_IMAGE
  #stopped = false

  constructor(options: MetadataFollowerOptions) {
    this.#options = options
  }

  get image(): ClusterImage {
    return this.#image
  }

  /** Runs until `stop`; a lost controller is looked for again without end, the image stays as it was meanwhile. */
  async run(): Promise<void> {
    const { link } = this.#options
    while (!this.#stopped) {
      const fetched = await this.#fetch(this.#image.metadataOffset + 1)
      if (fetched === null) await link.pause(RETRY_PAUSE_MS)
      else if (this.#stopped) return
      else if (fetched.kind === 'snapshot') this.#restore(fetched.image)
      else if (fetched.entries.length > 0) this.#apply(fetched.entries)
    }
  }

  async #fetch(fromOffset: MetadataOffset): Promise<Fetched | null> {
    const { link, environment } = this.#options
    try {
      const request = { fromOffset, maxWaitMs: FETCH_WAIT_MS, maxBytes: FETCH_MAX_BYTES }
      const response = await link.request(fetchMetadata, request, { timeoutMs: FETCH_WAIT_MS * 2 })
      if (response.snapshot === null) return { kind: 'entries', entries: response.entries }
      // A controller that begins before this offset has nothing to tell that is not known.
      if (response.snapshot.metadataOffset < fromOffset) return null
      const image = await downloadSnapshot({ link, cpu: environment.cpu }, response.snapshot)
      return { kind: 'snapshot', image }
    } catch (thrown) {
      const error = toVltavaError(thrown)
      environment.log.debug('metadata-fetch-failed', { fromOffset, code: error.code, reason: error.message })
      return null
    }
  }

  stop(): void {
    this.#stopped = true
  }

  /** The log was dropped up to there: goes on with the state that follows from it. */
  #restore(after: ClusterImage): void {
    const before = this.#image
    const deletedTopics = [...after.deletedTopics]
      .filter(([, deletedAt]) => deletedAt > before.metadataOffset)
      .map(([topicId]) => topicId)
    this.#image = after
    this.#options.environment.log.info('metadata-snapshot-loaded', {
      metadataOffset: after.metadataOffset,
      behind: after.metadataOffset - before.metadataOffset,
    })
    this.#options.onImage({ before, after, deletedTopics })
  }

  /** An image that cannot be built is a bug here or damage there; a broker that guesses would lose data. */
  #apply(entries: readonly (Uint8Array | null)[]): void {
    const before = this.#image
    const deletedTopics: TopicId[] = []
    let image = before
    try {
      for (const entry of entries) {
        const batch = entry === null ? [] : decodeWire(metadataBatchSchema, entry)
        image = applyBatch(image, batch, image.metadataOffset + 1)
        for (const record of batch) if (record.type === 'topic-deleted') deletedTopics.push(record.topicId)
      }
    } catch (thrown) {
      this.stop()
      this.#options.environment.process.fail('the metadata log cannot be applied', thrown)
      return
    }
    this.#image = image
    this.#options.onImage({ before, after: image, deletedTopics })
  }
}
