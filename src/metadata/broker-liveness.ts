// Which brokers are due to be fenced. Two clocks run per broker: a session that each heartbeat renews, and a short
// grace that starts when the broker's link to the active controller closes. The grace is what makes a killed leader
// replaced in well under a second; epochs make a wrong guess safe.
import { assert } from '../base/assert.ts'
import type { BrokerEpoch, MetadataOffset, NodeId } from '../model/ids.ts'

export interface LivenessSettings {
  /** broker.session.timeout.ms: without a heartbeat for so long, a broker is fenced. 1 or more. */
  readonly sessionTimeoutMs: number
  /** broker.disconnect.grace.ms: how long the same incarnation may take to come back once its link closed. 0 or more. */
  readonly disconnectGraceMs: number
}

export const LIVENESS_DEFAULTS: LivenessSettings = { sessionTimeoutMs: 3_000, disconnectGraceMs: 250 }

export interface DueBroker {
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly evidence: 'heartbeat-missed' | 'link-closed'
  readonly detail: string
}

interface Session {
  readonly brokerEpoch: BrokerEpoch
  heardAtMs: number
  linkClosedAtMs: number | null
  appliedOffset: MetadataOffset
}

export class BrokerLiveness {
  readonly #settings: LivenessSettings
  readonly #sessions = new Map<NodeId, Session>()

  constructor(settings: LivenessSettings) {
    assert(settings.sessionTimeoutMs >= 1, 'broker.session.timeout.ms must be at least 1')
    assert(settings.disconnectGraceMs >= 0, 'broker.disconnect.grace.ms must not be negative')
    this.#settings = settings
  }

  /** Starts a full session for a run of a broker: at its registration, and for every broker when a controller starts. */
  track(run: { readonly brokerId: NodeId; readonly brokerEpoch: BrokerEpoch }, nowMs: number): void {
    this.#sessions.set(run.brokerId, {
      brokerEpoch: run.brokerEpoch,
      heardAtMs: nowMs,
      linkClosedAtMs: null,
      appliedOffset: 0,
    })
  }

  /** Stops watching a broker, once it is fenced. */
  forget(brokerId: NodeId): void {
    this.#sessions.delete(brokerId)
  }

  /** Renews the session. One from another run of the broker proves nothing and is ignored. */
  heartbeat(run: { readonly brokerId: NodeId; readonly brokerEpoch: BrokerEpoch }, nowMs: number): void {
    const session = this.#sessions.get(run.brokerId)
    if (session?.brokerEpoch !== run.brokerEpoch) return
    session.heardAtMs = nowMs
    session.linkClosedAtMs = null
  }

  /** The link of that broker to this controller closed: the grace starts, unless it runs already. */
  linkClosed(brokerId: NodeId, nowMs: number): void {
    const session = this.#sessions.get(brokerId)
    if (session !== undefined) session.linkClosedAtMs ??= nowMs
  }

  /** The same incarnation has a link again. */
  linkRestored(brokerId: NodeId): void {
    const session = this.#sessions.get(brokerId)
    if (session !== undefined) session.linkClosedAtMs = null
  }

  /** The broker is known to have applied the metadata log so far. */
  applied(brokerId: NodeId, metadataOffset: MetadataOffset): void {
    const session = this.#sessions.get(brokerId)
    if (session !== undefined && metadataOffset > session.appliedOffset)
      session.appliedOffset = metadataOffset
  }

  /** How far the broker is known to have applied the metadata log; 0 when it was not heard yet. */
  appliedOffset(brokerId: NodeId): MetadataOffset {
    return this.#sessions.get(brokerId)?.appliedOffset ?? 0
  }

  /** The brokers whose session or grace has run out. They stay due until they are heard of or forgotten. */
  due(nowMs: number): readonly DueBroker[] {
    const due: DueBroker[] = []
    for (const [brokerId, session] of this.#sessions) {
      if (nowMs < this.#dueAtMs(session)) continue
      const { brokerEpoch, heardAtMs, linkClosedAtMs } = session
      const silent = nowMs - heardAtMs >= this.#settings.sessionTimeoutMs
      due.push({
        brokerId,
        brokerEpoch,
        evidence: silent ? 'heartbeat-missed' : 'link-closed',
        detail: silent
          ? `no heartbeat of broker ${brokerId} for ${Math.round(nowMs - heardAtMs)} ms`
          : `the link of broker ${brokerId} closed ${Math.round(nowMs - linkClosedAtMs!)} ms ago and did not come back`,
      })
    }
    return due
  }

  /** When the next broker may become due, on the same clock; null when none is watched. */
  nextDueAtMs(): number | null {
    let next: number | null = null
    for (const session of this.#sessions.values()) {
      const dueAtMs = this.#dueAtMs(session)
      if (next === null || dueAtMs < next) next = dueAtMs
    }
    return next
  }

  #dueAtMs({ heardAtMs, linkClosedAtMs }: Session): number {
    const sessionEndMs = heardAtMs + this.#settings.sessionTimeoutMs
    if (linkClosedAtMs === null) return sessionEndMs
    return Math.min(sessionEndMs, linkClosedAtMs + this.#settings.disconnectGraceMs)
  }
}
