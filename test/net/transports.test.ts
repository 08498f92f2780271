import { WebSocket } from 'ws'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import { WsListenerFactory } from '../../src/net/node/ws-listener.ts'
import { WsTransport } from '../../src/net/node/ws-transport.ts'
import { type BrowserWebSocketConstructor, WebTransport } from '../../src/net/web/web-transport.ts'
import { createNodeClock } from '../../src/platform/node/node-clock.ts'
import { SimulatedNetwork } from '../../src/testing/network/simulated-network.ts'
import { describeTransportContract } from '../contracts/transport-contract.ts'

const clock = createNodeClock()

describeTransportContract({
  name: 'memory',
  create: () => {
    const network = new MemoryNetwork(clock)
    return { transport: network, listeners: network }
  },
  abortCode: 1006,
})

describeTransportContract({
  name: 'simulated',
  create: () => {
    const network = new SimulatedNetwork({ random: seededRandom(1) })
    return {
      transport: network.endpoint({ name: 'dialer', clock }),
      listeners: network.endpoint({ name: 'listener', clock }),
    }
  },
  abortCode: 1006,
})

describeTransportContract({
  name: 'ws',
  create: () => ({
    transport: new WsTransport(clock),
    listeners: new WsListenerFactory({ clock, log: silentLog }),
  }),
  abortCode: 1006,
})

// The ws library has the interface of the browser's WebSocket as well.
describeTransportContract({
  name: 'web',
  create: () => ({
    transport: new WebTransport({
      clock,
      WebSocket: WebSocket as unknown as BrowserWebSocketConstructor,
    }),
    listeners: new WsListenerFactory({ clock, log: silentLog }),
  }),
  abortCode: 1005,
})
