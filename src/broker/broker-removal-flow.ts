import type { Call } from '../net/router.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { cordonBroker, unregisterBroker } from '../protocol/broker-removal.ts'
import type { ForwardedChanges } from './forwarded-changes.ts'

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>

/** Passes what operators ask about brokers on to the active controller. */
export class BrokerRemovalFlow {
  readonly #changes: ForwardedChanges

  constructor(changes: ForwardedChanges) {
    this.#changes = changes
  }

  async cordon({ body }: Call<typeof cordonBroker>): Answer<typeof cordonBroker> {
    return { body: await this.#changes.change(cordonBroker, body) }
  }

  async unregister({ body }: Call<typeof unregisterBroker>): Answer<typeof unregisterBroker> {
    return { body: await this.#changes.change(unregisterBroker, body) }
  }
}
