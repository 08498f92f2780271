// The entry for Node.
import { WsTransport } from '../net/node/ws-transport.ts'
import { createNodeClock } from '../platform/node/node-clock.ts'
import { createNodeCpu } from '../platform/node/node-cpu.ts'
import { createNodeRandom } from '../platform/node/node-random.ts'
import { Client } from './client.ts'
import { type CreateClientOptions, resolveEntryOptions } from './client-options.ts'

/**
 * A client of the cluster that the bootstrap servers belong to. It connects when it is first used.
 * @param options `bootstrap`: addresses as `host:port`, `ws://host:port` or `wss://host:port`, as a list or separated
 *   by commas; a few brokers are enough, the others are found. See ClientSettings for the rest.
 * @throws VltavaError INVALID_ARGUMENT that names the option or the addresses, and what is allowed.
 */
export function createClient(options: CreateClientOptions): Client {
  const { bootstrap, log, settings } = resolveEntryOptions(options)
  const clock = createNodeClock()
  const environment = {
    clock,
    random: createNodeRandom(),
    log,
    cpu: createNodeCpu(),
    transport: new WsTransport(clock),
  }
  return new Client({ bootstrap, environment, settings })
}
