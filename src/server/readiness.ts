// Whether a node serves what its roles promise, and what is missing: the body of GET /readyz.

/** How far a broker has come; it takes each step after the one before it. */
export interface BrokerReadiness {
  /** The controller knows this run of it. */
  readonly registered: boolean
  /** It has applied its own registration and all metadata before it, and has opened its logs. */
  readonly caughtUp: boolean
  /** The controller lets it serve, and its metadata says so too. */
  readonly unfenced: boolean
}

export interface Readiness {
  readonly ready: boolean
  /** What is missing, in a few words; null when nothing is. */
  readonly reason: string | null
  /** null where the node has not the role. */
  readonly broker: BrokerReadiness | null
  /** null where the node has not the role. */
  readonly controller: { readonly leaderKnown: boolean } | null
}

/** A node with both roles is ready with its broker: a broker needs a quorum to become unfenced. */
export function readinessOf(node: {
  readonly isStopping: boolean
  readonly broker: BrokerReadiness | null
  readonly controller: { readonly leaderKnown: boolean } | null
}): Readiness {
  const { broker, controller } = node
  const reason = node.isStopping ? 'the node is stopping' : whatIsMissing(broker, controller)
  return { ready: reason === null, reason, broker, controller }
}

function whatIsMissing(broker: Readiness['broker'], controller: Readiness['controller']): string | null {
  if (broker !== null) {
    // It was caught up when it was unfenced; that it opens the log of one more replica since keeps nobody waiting.
    if (broker.registered && broker.unfenced) return null
    if (!broker.registered) return 'the broker is not registered yet'
    if (!broker.caughtUp) return 'the broker has not caught up with the metadata yet'
    return 'the broker is not unfenced yet'
  }
  if (controller === null) return 'the node is starting'
  return controller.leaderKnown ? null : 'the controller quorum has no leader'
}
