import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Transport } from '../net/transport.ts'

/** Everything the client needs from outside. The entries for Node and the browser bind it; tests bring their own. */
export interface ClientEnvironment {
  readonly clock: Clock
  /** Jitter, the choice of brokers and of partitions for records without a key. */
  readonly random: Random
  readonly log: Log
  readonly cpu: Cpu
  readonly transport: Transport
}
