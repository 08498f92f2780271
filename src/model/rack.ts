import { nullable, text, withUnwrittenFallback } from '../schema/schema.ts'
import { VltavaError } from './errors.ts'
import type { NodeId } from './ids.ts'
import { RACK_MAX_CHARACTERS } from './limits.ts'

/**
 * What a rack may be called. No other characters than ASCII: two names that look the same, such as an accent written in two ways,
 * would be two racks.
 */
export const RACK_PATTERN = {
  regex: new RegExp(`^[!-~]([ -~]{0,${RACK_MAX_CHARACTERS - 2}}[!-~])?$`),
  meaning: `1 to ${RACK_MAX_CHARACTERS} printable ASCII characters without blanks at the ends, such as eu-central-1a`,
} as const

/** The rack of a broker; null: it names none. Where no broker names one, nothing tells that there could be racks. */
export const rackSchema = withUnwrittenFallback(nullable(text(RACK_MAX_CHARACTERS)), null)

/**
 * Checks the rack under which a broker wants to be registered; null: it names none.
 * @throws VltavaError INVALID_REQUEST
 */
export function checkRack(brokerId: NodeId, rack: string | null): void {
  if (rack === null || RACK_PATTERN.regex.test(rack)) return
  throw new VltavaError(
    'INVALID_REQUEST',
    `The rack of broker ${brokerId} must be ${RACK_PATTERN.meaning}, got ${JSON.stringify(rack)}. Change its broker.rack.`,
  )
}
