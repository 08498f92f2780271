// The entry for browsers; nothing it reaches needs Node.
import { type BrowserWebSocketConstructor, WebTransport } from '../net/web/web-transport.ts'
import { createWebClock } from '../platform/web/web-clock.ts'
import { createWebCpu } from '../platform/web/web-cpu.ts'
import { createWebRandom } from '../platform/web/web-random.ts'
import { Client } from './client.ts'
import { type CreateClientOptions, resolveEntryOptions } from './client-options.ts'

// What the browser offers, named here because the types of the package are Node's.
declare const WebSocket: BrowserWebSocketConstructor

/**
 * A client of the cluster that the bootstrap servers belong to. It connects when it is first used. The brokers must
 * allow the origin of the page.
 * @param options `bootstrap`: addresses as `host:port`, `ws://host:port` or `wss://host:port`, as a list or separated
 *   by commas; a few brokers are enough, the others are found. A page that came over https can use `wss` only. See
 *   ClientSettings for the rest.
 * @throws VltavaError INVALID_ARGUMENT that names the option or the addresses, and what is allowed.
 */
export function createClient(options: CreateClientOptions): Client {
  const { bootstrap, log, settings } = resolveEntryOptions(options)
  const clock = createWebClock()
  const environment = {
    clock,
    random: createWebRandom(),
    log,
    cpu: createWebCpu(),
    transport: new WebTransport({ clock, WebSocket }),
  }
  return new Client({ bootstrap, environment, settings })
}
