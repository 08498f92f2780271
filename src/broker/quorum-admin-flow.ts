import type { Call } from '../net/router.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../protocol/quorum-admin.ts'
import type { ControllerLink } from './controller-link.ts'
import type { ForwardedChanges } from './forwarded-changes.ts'

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>

/** Passes what operators ask of the controller quorum on to the active controller. */
export class QuorumAdminFlow {
  readonly #link: ControllerLink
  readonly #changes: ForwardedChanges

  constructor(link: ControllerLink, changes: ForwardedChanges) {
    this.#link = link
    this.#changes = changes
  }

  async describe({ body }: Call<typeof describeQuorum>): Answer<typeof describeQuorum> {
    return { body: await this.#link.request(describeQuorum, body, body) }
  }

  async addVoter({ body }: Call<typeof addVoter>): Answer<typeof addVoter> {
    return { body: await this.#changes.change(addVoter, body) }
  }

  async removeVoter({ body }: Call<typeof removeVoter>): Answer<typeof removeVoter> {
    return { body: await this.#changes.change(removeVoter, body) }
  }

  async transfer({ body }: Call<typeof transferController>): Answer<typeof transferController> {
    return { body: await this.#link.request(transferController, body, body) }
  }
}
