// What every decision of the controller has in common: what it looks at, and what it gives back. A decision changes
// nothing; its records do, once they are committed.
import type { DirectoryId, MetadataOffset, NodeId } from '../model/ids.ts'
import type { ClusterImage } from './cluster-image.ts'
import type { Cause, MetadataRecord } from './metadata-records.ts'

export interface DecisionContext {
  /** The speculative image: committed and everything proposed in this term. */
  readonly image: ClusterImage
  /** The metadata offset that the records will have. A registration uses it as the broker epoch. */
  readonly nextOffset: MetadataOffset
  /** The node that decides: the active controller. */
  readonly observerId: NodeId
  /** Wall clock in milliseconds, for causes only: nothing is decided by it. */
  readonly wallMs: number
}

export interface Decision<Response> {
  /** One atomic batch; empty when nothing has to change. */
  readonly records: readonly MetadataRecord[]
  /** Holds once the records are committed. */
  readonly response: Response
  /** Set where the records change who votes: the quorum has to agree that this is safe now. */
  readonly voterChange?: VoterChange
}

/** One voter of the controller quorum more or less. */
export interface VoterChange {
  readonly kind: 'add' | 'remove'
  readonly nodeId: NodeId
  readonly directoryId: DirectoryId
}

const DETAIL_MAX_CHARACTERS = 300

/** The cause of a record, as this controller saw it. */
export function causeOf(context: DecisionContext, kind: Cause['kind'], detail: string): Cause {
  return {
    kind,
    observerId: context.observerId,
    observedAtMs: context.wallMs,
    detail: detail.slice(0, DETAIL_MAX_CHARACTERS),
  }
}
