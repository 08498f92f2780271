import { describe, expect, it } from 'vitest'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'

describe('node cpu', () => {
  it('crc32c: short and long input -> the table for the short, native code for the long', () => {
    const lengths: number[] = []
    const cpu = createNodeCpu((bytes, previous) => {
      lengths.push(bytes.length)
      return (previous ?? 0) + 1
    })
    expect(cpu.crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(cpu.crc32c(new Uint8Array(199), 5)).not.toBe(6)
    expect(lengths).toEqual([])
    expect(cpu.crc32c(new Uint8Array(200), 5)).toBe(6)
    expect(cpu.crc32c(new Uint8Array(1000))).toBe(1)
    expect(lengths).toEqual([200, 1000])
  })
})
