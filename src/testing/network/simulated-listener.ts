import { type Deferred, deferred } from '../../base/async/deferred.ts'
import { CLOSE_CODES } from '../../net/close-codes.ts'
import type { Listener, ListenOptions } from '../../net/transport.ts'
import { type Party, setPartyTimer } from './party.ts'
import type { SimulatedChannel } from './simulated-channel.ts'

/** What listens on one host and port. There is no HTTP side. */
export class SimulatedListener implements Listener {
  readonly party: Party
  readonly port: number
  readonly #options: ListenOptions
  readonly #onClose: () => void
  readonly #channels = new Set<SimulatedChannel>()
  #closed: Deferred<void> | null = null

  constructor(settings: {
    readonly party: Party
    readonly options: ListenOptions
    readonly onClose: () => void
  }) {
    this.party = settings.party
    this.port = settings.options.port
    this.#options = settings.options
    this.#onClose = settings.onClose
  }

  get isClosed(): boolean {
    return this.#closed !== null
  }

  /** In a turn of the party that listens. */
  accept(channel: SimulatedChannel): void {
    this.#channels.add(channel)
    this.#options.onChannel(channel)
  }

  /** After the party that listens was told, in this turn, that the channel ended; or when that party is no more. */
  forget(channel: SimulatedChannel): void {
    this.#channels.delete(channel)
    if (this.#channels.size === 0 && this.party.isAlive) this.#closed?.resolve()
  }

  close(): Promise<void> {
    if (this.#closed !== null) return this.#closed.promise
    const closed = deferred<void>()
    this.#closed = closed
    this.#onClose()
    if (this.#channels.size === 0) setPartyTimer(this.party, { delayMs: 0, callback: closed.resolve })
    const { code, meaning } = CLOSE_CODES.SHUTTING_DOWN
    for (const channel of [...this.#channels]) channel.close(code, meaning)
    return closed.promise
  }
}
