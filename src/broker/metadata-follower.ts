import type { ClusterImage } from '../metadata/cluster-image.ts'
import { EMPTY_IMAGE } from '../metadata/cluster-image.ts'
import { applyBatch } from '../metadata/image-apply.ts'
import { type MetadataRecord, metadataBatchSchema } from '../metadata/metadata-records.ts'
import { toVltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'
import { fetchMetadata } from '../protocol/broker-lifecycle.ts'
import { decodeWire } from '../protocol/codec.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { ControllerLink } from './controller-link.ts'

/** A parked metadata fetch returns at the latest after this; it bounds how long a silent controller is trusted. */
const FETCH_WAIT_MS = 1_000
const FETCH_MAX_BYTES = 4 * 1024 * 1024
const RETRY_PAUSE_MS = 50

export interface MetadataFollowerOptions {
  readonly environment: BrokerEnvironment
  readonly link: ControllerLink
  /** Called after each fetch that brought something, with the images around it and the records between them. */
  readonly onImage: (change: ImageChange) => void
}

export interface ImageChange {
  readonly before: ClusterImage
  readonly after: ClusterImage
  readonly records: readonly MetadataRecord[]
}

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
      const entries = await this.#fetch(this.#image.metadataOffset + 1)
      if (entries === null) await link.pause(RETRY_PAUSE_MS)
      else if (!this.#stopped && entries.length > 0) this.#apply(entries)
    }
  }

  async #fetch(fromOffset: MetadataOffset): Promise<readonly (Uint8Array | null)[] | null> {
    const { link, environment } = this.#options
    try {
      const request = { fromOffset, maxWaitMs: FETCH_WAIT_MS, maxBytes: FETCH_MAX_BYTES }
      return (await link.request(fetchMetadata, request, { timeoutMs: FETCH_WAIT_MS * 2 })).entries
    } catch (thrown) {
      const error = toVltavaError(thrown)
      environment.log.debug('metadata-fetch-failed', { fromOffset, code: error.code, reason: error.message })
      return null
    }
  }

  stop(): void {
    this.#stopped = true
  }

  /** An image that cannot be built is a bug here or damage there; a broker that guesses would lose data. */
  #apply(entries: readonly (Uint8Array | null)[]): void {
    const before = this.#image
    const records: MetadataRecord[] = []
    let image = before
    try {
      for (const entry of entries) {
        const batch = entry === null ? [] : decodeWire(metadataBatchSchema, entry)
        image = applyBatch(image, batch, image.metadataOffset + 1)
        for (const record of batch) records.push(record)
      }
    } catch (thrown) {
      this.stop()
      this.#options.environment.process.fail('the metadata log cannot be applied', thrown)
      return
    }
    this.#image = image
    this.#options.onImage({ before, after: image, records })
  }
}
