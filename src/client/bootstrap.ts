// The addresses a client starts from.
import { VltavaError } from '../model/errors.ts'
import { showValue } from './options.ts'

/** How many addresses one client may be given; a handful is enough to find the others. */
const BOOTSTRAP_ADDRESSES_MAX = 100

/**
 * Reads `host:port` (which means `ws`), `ws://host:port` and `wss://host:port`, alone, as a list, or separated by
 * commas. Where the scheme is given, the port may be left out (80 and 443) and a path may follow.
 * @returns URLs without doubles, in the order given, with their port.
 * @throws VltavaError INVALID_ARGUMENT that names every entry which is not an address.
 */
export function parseBootstrap(bootstrap: string | readonly string[]): readonly string[] {
  const given: unknown = bootstrap
  const parts: readonly unknown[] = Array.isArray(given) ? given : [given]
  const urls = new Set<string>()
  const invalid: string[] = []
  for (const part of parts) {
    if (typeof part !== 'string') {
      invalid.push(showValue(part))
      continue
    }
    for (const entry of part.split(',')) {
      const text = entry.trim()
      if (text === '' && part.includes(',')) continue
      const url = parseAddress(text)
      if (url === null) invalid.push(JSON.stringify(text))
      else urls.add(url)
    }
  }
  if (invalid.length > 0 || urls.size === 0) {
    const which = invalid.length > 0 ? invalid.join(', ') : 'an empty list'
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `bootstrap: ${which} is not allowed; give addresses such as "localhost:9092", "ws://host:9092" or ` +
        '"wss://host:9092", as a list or separated by commas.',
    )
  }
  if (urls.size > BOOTSTRAP_ADDRESSES_MAX) {
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `bootstrap: ${urls.size} addresses were given, ${BOOTSTRAP_ADDRESSES_MAX} are allowed.`,
    )
  }
  return [...urls]
}

/** `host:port` or `scheme://host[:port][/path]`; the host a name, an IPv4 address or an IPv6 address in brackets. */
const ADDRESS = /^(?:(wss?):\/\/)?(\[[0-9a-f:.]+\]|[^\s/?#@:[\]]+)(?::(\d{1,5}))?(\/[^\s?#]*)?$/i

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['ws', 80],
  ['wss', 443],
])

function parseAddress(text: string): string | null {
  const match = ADDRESS.exec(text)
  if (match === null) return null
  const [, givenScheme, host, givenPort, path = ''] = match
  // Without a scheme, a missing port is more likely forgotten than meant, and a path is no host and port.
  if (givenScheme === undefined && (givenPort === undefined || path !== '')) return null
  const scheme = givenScheme?.toLowerCase() ?? 'ws'
  const port = Number(givenPort ?? DEFAULT_PORTS.get(scheme))
  if (port < 1 || port > 65_535) return null
  return `${scheme}://${host!.toLowerCase()}:${port}${path === '/' ? '' : path}`
}
