import type { Cpu } from '../../base/cpu.ts'
import { crc32c } from '../../base/crc32c.ts'

// What the browser offers, named here because the types of the package are Node's.
declare const TextEncoder: new () => { encode(text: string): Uint8Array }
declare const TextDecoder: new (
  label: string,
  options: { readonly ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

/** The cpu port of browsers: nothing native. */
export function createWebCpu(): Cpu {
  const encoder = new TextEncoder()
  // "ignoreBOM" means that U+FEFF is kept: text that is encoded and decoded comes back as it was.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    crc32c,
    encodeUtf8: (text) => encoder.encode(text),
    decodeUtf8: (bytes) => decoder.decode(bytes),
  }
}
