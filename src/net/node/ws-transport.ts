import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type ClientOptions, WebSocket } from 'ws'
import type { Clock } from '../../base/clock.ts'
import { VltavaError } from '../../model/errors.ts'
import { parseServerUrl, type ServerUrl } from '../server-url.ts'
import { SUBPROTOCOL } from '../subprotocol.ts'
import type { Channel, ConnectOptions, Transport } from '../transport.ts'
import { WsChannel } from './ws-channel.ts'
import { WS_OPTIONS } from './ws-options.ts'

/** Opens channels over WebSocket with the ws library. */
export class WsTransport implements Transport {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  connect(url: string, options: ConnectOptions): Promise<Channel> {
    return new Promise((resolve, reject) => {
      const address = parseServerUrl(url)
      const { signal, timeoutMs } = options
      const masking = options.isPeer || needsNoMask(address) ? 'zero-key' : 'random-key'
      const ws = new WebSocket(url, SUBPROTOCOL, clientOptions(masking === 'zero-key'))
      let socket: Socket | null = null
      const settle = (): void => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        ws.off('error', onError)
        ws.off('unexpected-response', onResponse)
      }
      const fail = (problem: string, cause?: unknown): void => {
        settle()
        // What ws still has to say about this socket is of no interest, but an error nobody listens to ends the process.
        ws.on('error', () => {})
        ws.terminate()
        reject(new VltavaError('CONNECTION_FAILED', `${url}: ${problem}`, { cause }))
      }
      const onError = (error: Error): void => fail(explain(error), error)
      const onResponse = (_request: unknown, response: IncomingMessage): void => {
        fail(`answered HTTP ${response.statusCode} instead of opening a WebSocket; is it a Vltava node?`)
      }
      const onAbort = (): void => fail('the caller gave up.')
      // A timer of our own: the one of ws starts anew with every byte a slow server drips.
      const timer = this.#clock.setTimer(timeoutMs, () =>
        fail(`no WebSocket was opened within ${timeoutMs} ms.`),
      )
      ws.on('error', onError)
      ws.on('unexpected-response', onResponse)
      ws.on('upgrade', (response) => {
        socket = response.socket
      })
      ws.on('open', () => {
        settle()
        // Nothing is read before the channel is started.
        ws.pause()
        const remoteAddress = `${address.host}:${address.port}`
        resolve(new WsChannel({ ws, socket: socket!, masking, remoteAddress, clock: this.#clock }))
      })
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted === true) onAbort()
    })
  }
}

function clientOptions(hasZeroMask: boolean): ClientOptions {
  return hasZeroMask ? { ...WS_OPTIONS, generateMask: zeroMask } : WS_OPTIONS
}

function zeroMask(mask: Buffer): void {
  mask.fill(0)
}

/**
 * Masks exist to keep a page from making a proxy on the way see requests in what it sends. Where no proxy can look
 * inside, on loopback and under TLS, a key of zeros is as good, and saves the XOR on both sides.
 */
function needsNoMask(address: ServerUrl): boolean {
  return (
    address.isSecure || address.host === 'localhost' || address.host === '::1' || /^127\./.test(address.host)
  )
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; nothing listens there.',
  ECONNRESET: 'the connection was reset before a WebSocket was opened.',
  ENOTFOUND: 'the host name is not known.',
  EHOSTUNREACH: 'the host cannot be reached.',
  ENETUNREACH: 'the network cannot be reached.',
  ETIMEDOUT: 'the host does not answer.',
}

function explain(error: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  const known = PROBLEMS[code]
  if (known !== undefined) return known
  if (code.startsWith('HPE_')) return `what listens there does not speak HTTP (${code}).`
  return `${error.message === '' ? code : error.message}.`
}
