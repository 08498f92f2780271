// Generators of what may travel.
import fc from 'fast-check'
import type { Wire } from '../../src/schema/schema.ts'

const scalars = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.integer({ min: 0, max: 200 }),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
  fc.string({ maxLength: 50, unit: 'grapheme' }),
  fc.uint8Array({ maxLength: 300 }),
)

/** Any value of the wire, nested at most 8 deep. */
export const wireValues: fc.Arbitrary<Wire> = fc.letrec<{ wire: Wire }>((tie) => ({
  wire: fc.oneof(
    { maxDepth: 8 },
    { arbitrary: scalars, weight: 3 },
    { arbitrary: fc.array(tie('wire'), { maxLength: 20 }), weight: 1 },
  ),
})).wire
