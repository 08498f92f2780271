// The words of request and response that connection, router and handshake share.
import type { IncarnationId, NodeId } from '../model/ids.ts'

/** The node at the other end, once it has proved the cluster secret. It never changes on one connection. */
export interface PeerIdentity {
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
}

/** What the other end may call here: nothing but hello, the client APIs, or the peer APIs as well. */
export type Session = 'new' | 'client' | 'peer'

/** A body with, where the API has one, its payload; the parts go out uncopied and must not change any more. */
export interface Outgoing<T> {
  readonly body: T
  readonly payload?: readonly Uint8Array[]
}

export interface Incoming<T> {
  readonly body: T
  /** A view on the received message; empty where the API has none. */
  readonly payload: Uint8Array
}

export interface RequestOptions {
  readonly payload?: readonly Uint8Array[]
  /** Milliseconds until the request fails with REQUEST_TIMED_OUT. */
  readonly timeoutMs: number
}
