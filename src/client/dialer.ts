import { toVltavaError, type VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { BrokerView } from './cluster-view.ts'
import type { Connections } from './connections.ts'

export interface DialerOptions {
  readonly connections: Connections
  readonly onOpen: () => void
  readonly onFailed: (broker: BrokerView, error: VltavaError) => void
}

/** Makes the connections that a loop needs, and tells it; each broker is dialled once at a time. */
export class Dialer {
  readonly #options: DialerOptions
  readonly #dialing = new Set<NodeId>()

  constructor(options: DialerOptions) {
    this.#options = options
  }

  /** Does nothing while the broker is being dialled already. */
  dial(broker: BrokerView): void {
    const { connections, onOpen, onFailed } = this.#options
    const { brokerId } = broker
    if (this.#dialing.has(brokerId)) return
    this.#dialing.add(brokerId)
    connections.dial(broker).then(
      () => {
        this.#dialing.delete(brokerId)
        onOpen()
      },
      (error: unknown) => {
        this.#dialing.delete(brokerId)
        onFailed(broker, toVltavaError(error))
      },
    )
  }
}
