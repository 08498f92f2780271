import type { Clock } from '../base/clock.ts'
import type { Cpu, Mac } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import type { Random } from '../base/random.ts'
import type { ListenerFactory, Transport } from '../net/transport.ts'
import type { FileSystem } from '../storage/file-system.ts'

/** Every port of one node, for one run of its process. Nothing below reaches the outside another way. */
export interface Environment {
  readonly clock: Clock
  readonly random: Random
  readonly fileSystem: FileSystem
  readonly transport: Transport
  readonly listeners: ListenerFactory
  readonly process: Process
  readonly cpu: Cpu
  readonly mac: Mac
  readonly log: Log
}
