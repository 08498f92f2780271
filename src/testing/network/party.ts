import type { Clock, Timer } from '../../base/clock.ts'

/** What stays when a process ends. */
export interface Machine {
  readonly name: string
  isOff: boolean
}

/** One run of a process. */
export interface Party {
  readonly name: string
  /** The only way in which the network calls this party. */
  readonly clock: Clock
  readonly machine: Machine
  isAlive: boolean
}

/** Calls back in a turn of the party, unless it has ended by then. */
export function setPartyTimer(party: Party, timer: { delayMs: number; callback: () => void }): Timer {
  return party.clock.setTimer(timer.delayMs, () => {
    if (party.isAlive) timer.callback()
  })
}
