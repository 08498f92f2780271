import { VltavaError } from '../model/errors.ts'

export interface ServerUrl {
  /** A name or an address; an IPv6 address without its brackets. */
  readonly host: string
  readonly port: number
  readonly isSecure: boolean
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'ws:': 80, 'wss:': 443 }

/**
 * Takes ws://host:port or wss://host:port apart.
 * @throws VltavaError INVALID_ARGUMENT for anything else, and for a user name or password, which would end up in logs.
 */
export function parseServerUrl(url: string): ServerUrl {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw refused(url, 'is not a URL', error)
  }
  const defaultPort = DEFAULT_PORTS[parsed.protocol]
  if (defaultPort === undefined) throw refused(url, `begins with ${parsed.protocol}//`)
  if (parsed.username !== '' || parsed.password !== '') throw refused(parsed.host, 'has a user or password')
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
    isSecure: parsed.protocol === 'wss:',
  }
}

function refused(url: string, problem: string, cause?: unknown): VltavaError {
  const detail = `The server address ${JSON.stringify(url)} ${problem}; use ws://host:port or wss://host:port.`
  return new VltavaError('INVALID_ARGUMENT', detail, { cause })
}
