// What the active controller answers to operators who take brokers away.
import type { Log } from '../base/log.ts'
import { decideCordonBroker, decideUnregisterBroker } from '../metadata/decide-broker-removal.ts'
import type { Call } from '../net/router.ts'
import type { ResponseOf } from '../protocol/api.ts'
import type { cordonBroker, unregisterBroker } from '../protocol/broker-removal.ts'
import type { Controller } from './controller.ts'
import { runOnce } from './run-once.ts'

export interface BrokerRemovalFlowsOptions {
  readonly controller: Controller
  readonly log: Log
}

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>

export class BrokerRemovalFlows {
  readonly #options: BrokerRemovalFlowsOptions

  constructor(options: BrokerRemovalFlowsOptions) {
    this.#options = options
  }

  async cordon({ body: { timeoutMs, ...request } }: Call<typeof cordonBroker>): Answer<typeof cordonBroker> {
    const { controller, log } = this.#options
    const body = await runOnce(controller, {
      decide: (context) => decideCordonBroker(context, request),
      timeoutMs,
    })
    log.info(request.cordoned ? 'broker-cordoned' : 'broker-uncordoned', { brokerId: request.brokerId })
    return { body }
  }

  async unregister({
    body: { brokerId, timeoutMs },
  }: Call<typeof unregisterBroker>): Answer<typeof unregisterBroker> {
    const { controller, log } = this.#options
    const body = await runOnce(controller, {
      decide: (context) =>
        decideUnregisterBroker(context, {
          brokerId,
          contactOf: (run) => controller.sessions?.contactOf(run) ?? 'unknown',
        }),
      timeoutMs,
    })
    log.info('broker-unregistered', { brokerId })
    return { body }
  }
}
