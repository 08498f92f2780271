// What a record of a chaos run carries: a value that is unique, and padding that shows when bytes were mixed up.
import type { Random } from '../base/random.ts'
import type { ValueCodec } from '../testing/recording/value-codec.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * Records of a few bytes up to some kilobytes. The padding repeats the value, so a record with foreign bytes in it
 * decodes to something that nobody sent.
 */
export function paddedCodec(random: Random, paddingMax: number): ValueCodec {
  return {
    encode: (value) => encoder.encode(padded(value, random.below(paddingMax + 1))),
    decode(bytes) {
      const text = decoder.decode(bytes)
      const end = text.indexOf(' ')
      const value = text.slice(0, end)
      const length = Number(text.slice(end + 1, text.indexOf(' ', end + 1)))
      const isWhole = end > 0 && Number.isSafeInteger(length) && length >= 0 && text === padded(value, length)
      return isWhole ? value : `damaged record of ${bytes.length} bytes: ${text.slice(0, 80)}`
    },
  }
}

function padded(value: string, length: number): string {
  return `${value} ${length} ${value.repeat(Math.ceil(length / value.length)).slice(0, length)}`
}
