// The image that the active controller decides on: committed, and all batches proposed in this term. Deciding on the
// committed image alone would, for one, elect a replica that a pending shrink removes. The owner drops it on step-down:
// what was proposed may then be lost.
import type { MetadataOffset } from '../model/ids.ts'
import type { ClusterImage } from './cluster-image.ts'
import { applyBatch } from './image-apply.ts'
import type { MetadataRecord } from './metadata-records.ts'

export class SpeculativeImage {
  #image: ClusterImage

  /** @param committed the image of everything up to the last entry of the Raft log. */
  constructor(committed: ClusterImage) {
    this.#image = committed
  }

  get image(): ClusterImage {
    return this.#image
  }

  /** The offset that the next batch will have. */
  get nextOffset(): MetadataOffset {
    return this.#image.metadataOffset + 1
  }

  /**
   * The image with this batch. It is not taken over before `accept`, so that a batch the log refuses leaves no trace.
   * @throws AssertionError when the batch breaks an invariant; then it must not be proposed.
   */
  preview(records: readonly MetadataRecord[]): ClusterImage {
    return applyBatch(this.#image, records, this.nextOffset)
  }

  /** Takes over what `preview` gave, once the log has accepted the batch at `nextOffset`. */
  accept(preview: ClusterImage): void {
    this.#image = preview
  }
}
