import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { packValues, unpackValues } from '../../src/record/batch-values.ts'

const cpu = createNodeCpu(null)
const options = { cpu, leaderEpoch: 7, timestampMs: 5 }
const read = { cpu, leaderEpoch: 7 }

function valuesOf(sizes: readonly number[]): Uint8Array[] {
  return sizes.map((size, i) => new Uint8Array(size).fill(i + 1))
}

describe('values in batches', () => {
  it('many, large and empty ones -> come back in order, in batches of bounded size', () => {
    const values = valuesOf([0, 10, 200_000, 100_000, 1, 1_000_000, 5])
    const batches = [...packValues(values, options)]
    expect(batches.length).toBeGreaterThan(2)
    expect([...unpackValues(concatBytes(batches), read)].map((value) => value.length)).toEqual(
      values.map((value) => value.length),
    )
    expect([...unpackValues(concatBytes(batches), read)]).toEqual(values)
  })

  it('none -> no batch', () => {
    expect([...packValues([], options)]).toEqual([])
    expect([...unpackValues(new Uint8Array(0), read)]).toEqual([])
  })

  it('STO-05: any bit that flips behind the header of a batch -> noticed', () => {
    const bytes = concatBytes([...packValues(valuesOf([20, 30]), options)])
    for (let position = 0; position < bytes.length; position++) {
      const damaged = new Uint8Array(bytes)
      damaged[position]! ^= 1 << (position % 8)
      expect(() => [...unpackValues(damaged, read)], `at ${position}`).toThrow()
    }
  })

  it('a batch that is missing, twice, or of another epoch -> refused', () => {
    const [a, b, c] = [...packValues(valuesOf([200_000, 200_000, 200_000]), options)] as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    for (const parts of [
      [a, c],
      [a, a, b, c],
      [b, c],
    ]) {
      expect(() => [...unpackValues(concatBytes(parts), read)]).toThrow('does not follow offset')
    }
    expect(() => [...unpackValues(a, { cpu, leaderEpoch: 8 })]).toThrow('is not of epoch 8')
  })
})
