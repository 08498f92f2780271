// The limit of bytes per second that `vltava partition reassign --throttle` sets for all brokers, and takes away when nothing moves.
import type { ConfigDescription } from '../client/config-calls.ts'
import type { OngoingReassignment } from '../client/reassign-calls.ts'
import { parseInteger } from './text-options.ts'

/** Less would be no limit but a standstill. */
const RATE_MIN = 1_024
const RATES: readonly string[] = ['leader.replication.throttled.rate', 'follower.replication.throttled.rate']

/** The calls of an admin client that this needs. */
export interface MoveLimitAdmin {
  listReassignments(): Promise<readonly OngoingReassignment[]>
  readonly brokers: {
    describeConfigs(broker: null): Promise<readonly ConfigDescription[]>
    alterConfigs(change: {
      readonly broker: null
      readonly set?: Readonly<Record<string, string>>
      readonly delete?: readonly string[]
    }): Promise<void>
  }
}

/** What became of the limit: there was none, it stays while something moves, or it was taken away. */
export type MoveLimit = 'none' | 'kept' | 'removed'

/** Bytes per second of --throttle. @throws UsageError */
export function moveLimitOf(text: string): number {
  return parseInteger(text, { option: '--throttle', min: RATE_MIN, max: Number.MAX_SAFE_INTEGER - 1 })
}

/** Every broker gives and takes so many bytes per second at most to replicas that are being added. */
export async function limitMoves({ brokers }: MoveLimitAdmin, bytesPerSecond: number): Promise<void> {
  const set = Object.fromEntries(RATES.map((name) => [name, String(bytesPerSecond)]))
  await brokers.alterConfigs({ broker: null, set })
}

/** Takes the limit for all brokers away unless something moves. What is set for single brokers stays. */
export async function unlimitMoves(
  admin: MoveLimitAdmin,
): Promise<{ readonly limit: MoveLimit; readonly ongoing: readonly OngoingReassignment[] }> {
  const ongoing = await admin.listReassignments()
  const configs = await admin.brokers.describeConfigs(null)
  const names = configs.filter(({ name, isDefault }) => RATES.includes(name) && !isDefault)
  if (names.length === 0) return { limit: 'none', ongoing }
  if (ongoing.length > 0) return { limit: 'kept', ongoing }
  await admin.brokers.alterConfigs({ broker: null, delete: names.map(({ name }) => name) })
  return { limit: 'removed', ongoing }
}
