// What an API of the wire protocol is: one value that gives its number, its types, its checks, its documentation and
// who may call it.
import type { ErrorName } from '../model/error-codes.ts'
import type { Schema } from '../schema/schema.ts'

/**
 * Who may call an API. `anyone`: also before the hello was answered. `client`: every connection that said hello,
 * peers included. `peer`: only a connection that proved the cluster secret (SEC-30, SEC-31).
 */
export type Caller = 'anyone' | 'client' | 'peer'

export interface Api<Request, Response> {
  readonly key: number
  readonly name: string
  /** The newest version this code speaks; a request carries the version it is written in. From 0. */
  readonly version: number
  readonly caller: Caller
  /** Which role answers. `node` stands for every node. */
  readonly servedBy: 'node' | 'broker' | 'controller' | 'broker and controller' | 'client'
  /** A one-way message has no response and fails silently; its response schema is never used. */
  readonly oneWay: boolean
  readonly doc: string
  readonly request: Schema<Request>
  readonly response: Schema<Response>
  /** What the bytes behind the header hold in each direction, if anything. */
  readonly payload?: { readonly request?: string; readonly response?: string }
  readonly errors: readonly ErrorName[]
}

// biome-ignore lint/suspicious/noExplicitAny: only any is assignable both from and to every Api here.
export type AnyApi = Api<any, any>
export type RequestOf<A> = A extends Api<infer Request, infer _Response> ? Request : never
export type ResponseOf<A> = A extends Api<infer _Request, infer Response> ? Response : never

export function defineApi<Request, Response>(api: Api<Request, Response>): Api<Request, Response> {
  return api
}
