import { VltavaError } from '../../model/errors.ts'
import type { Listener, ListenOptions } from '../../net/transport.ts'
import { type Party, setPartyTimer } from './party.ts'
import { SimulatedListener } from './simulated-listener.ts'

/** The first port a listener gets that asks for any. */
const FREE_PORTS_FROM = 49_152

export interface Address {
  readonly host: string
  readonly port: number
}

/** Who listens where, by host and port. */
export class ListenerTable {
  readonly #listeners = new Map<string, SimulatedListener>()
  /** Who listened last at an address: its machine is the one that refuses a dial, or does not. */
  readonly #ownerNames = new Map<string, string>()
  #nextPort = FREE_PORTS_FROM

  get size(): number {
    return this.#listeners.size
  }

  at(address: Address): SimulatedListener | null {
    return this.#listeners.get(keyOf(address)) ?? null
  }

  /** Whose address it is; where nobody has listened yet, the host is taken for the name. */
  ownerName(address: Address): string {
    return this.#ownerNames.get(keyOf(address)) ?? address.host
  }

  listen(party: Party, options: ListenOptions): Promise<Listener> {
    return new Promise((resolve, reject) => {
      // What a process still asks for in the turn in which it ended is never answered.
      if (!party.isAlive) return
      const { host } = options
      const port = options.port === 0 ? this.#freePort(host) : options.port
      const key = keyOf({ host, port })
      if (this.#listeners.has(key)) {
        const detail = `port ${port} on ${host} is in use; choose another one, or stop what listens there.`
        const callback = (): void => reject(new VltavaError('INVALID_ARGUMENT', detail))
        setPartyTimer(party, { delayMs: 0, callback })
        return
      }
      const onClose = (): void => {
        this.#listeners.delete(key)
      }
      const listener = new SimulatedListener({ party, options: { ...options, port }, onClose })
      this.#listeners.set(key, listener)
      this.#ownerNames.set(key, party.name)
      setPartyTimer(party, { delayMs: 0, callback: () => resolve(listener) })
    })
  }

  partyEnded(party: Party): void {
    for (const [key, listener] of this.#listeners) if (listener.party === party) this.#listeners.delete(key)
  }

  #freePort(host: string): number {
    while (this.#listeners.has(keyOf({ host, port: this.#nextPort }))) this.#nextPort++
    return this.#nextPort++
  }
}

function keyOf({ host, port }: Address): string {
  return `${host}:${port}`
}
