import { createRequire } from 'node:module'
import type { Cpu } from '../../base/cpu.ts'
import { crc32c as crc32cByTable } from '../../base/crc32c.ts'

type Crc32c = (bytes: Uint8Array, previous?: number) => number

/** Below this many bytes the call into native code costs more than the table: 200 B take 165 ns and 173 ns. */
const NATIVE_MIN_BYTES = 200

/** CRC-32C of the optional dependency, or null where it is not installed or has no binary for this platform. */
function loadNativeCrc32c(): Crc32c | null {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { readonly crc32c: Crc32c }).crc32c
  } catch {
    return null
  }
}

/**
 * The cpu port of Node.
 * @param native the native CRC-32C, or null to do without; by default that of @node-rs/crc32 if it can be loaded.
 */
export function createNodeCpu(native: Crc32c | null = loadNativeCrc32c()): Cpu {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    crc32c:
      native === null
        ? crc32cByTable
        : (bytes, previous = 0) =>
            bytes.length < NATIVE_MIN_BYTES ? crc32cByTable(bytes, previous) : native(bytes, previous),
    // For 3 to 100 characters a Buffer encodes in 100 to 150 ns, a TextEncoder in 600 to 700; the other way round a
    // TextDecoder takes 70 to 90 ns, a Buffer 190.
    encodeUtf8: (text) => Buffer.from(text, 'utf8'),
    decodeUtf8: (bytes) => decoder.decode(bytes),
  }
}
