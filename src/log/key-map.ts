// The latest offset of each key, in bounded memory, for compaction. The keys themselves are kept and compared: two keys
// that were taken for one would lose the last value of the one, and a hash alone can promise no more than that this is
// rare. An entry takes 16 bytes beside its key.
import { assert } from '../base/assert.ts'
import type { Offset } from '../model/ids.ts'
import { COMPACTION_KEY_MAX_BYTES } from '../model/limits.ts'

export interface KeyMapOptions {
  /** Bytes for all keys and entries together, 1 MiB or more; memory is taken as it is needed. */
  readonly maxBytes: number
  /** An upper bound of the keys that come, where it is known: a small log then takes a small table. */
  readonly keysMax: number
  /** Two random int32. Whoever does not know them cannot choose keys that collide and make the table slow. */
  readonly seed: readonly [number, number]
}

/** Where a key lies in a buffer. */
export interface KeyPlace {
  readonly bytes: Uint8Array
  readonly position: number
  readonly length: number
}

const SLOT_BYTES = 16
const CHUNK_BYTES = 1024 * 1024
/** In front of each key stands its length. */
const LENGTH_BYTES = 4
/** Beyond this share of used slots probing gets slow. */
const LOAD_MAX = 0.75
const SLOTS_MIN = 64

export class KeyMap {
  readonly #seed: readonly [number, number]
  readonly #mask: number
  readonly #countMax: number
  readonly #chunksMax: number
  /**
   * The slots, one behind another, so that a key costs one page of fresh memory and one miss of the caches instead of three.
   * Of each two words: the hash, and where the key is, plus one; 0: the slot is free.
   */
  readonly #words: Uint32Array
  /** The same memory: in the second half of each slot the offset. */
  readonly #offsets: Float64Array
  readonly #chunks: Uint8Array[] = []
  /** Used bytes of the last chunk. */
  #chunkBytes = CHUNK_BYTES
  #count = 0

  constructor(options: KeyMapOptions) {
    assert(options.maxBytes >= CHUNK_BYTES, 'a key map has at least 1 MiB')
    // Half for the table and half for the keys: they meet at keys of about 20 bytes.
    const slotsMax = options.maxBytes / 2 / SLOT_BYTES
    const wantedSlots = Math.min(slotsMax, Math.ceil(options.keysMax / LOAD_MAX) + 1)
    const slots = 2 ** Math.floor(Math.log2(Math.max(SLOTS_MIN, Math.min(slotsMax, 2 * wantedSlots))))
    this.#seed = options.seed
    this.#mask = slots - 1
    this.#countMax = Math.floor(slots * LOAD_MAX)
    this.#chunksMax = Math.max(1, Math.floor((options.maxBytes - slots * SLOT_BYTES) / CHUNK_BYTES))
    // Never enlarged: moving millions of entries at once would stop everything else for long.
    const table = new ArrayBuffer(slots * SLOT_BYTES)
    this.#words = new Uint32Array(table)
    this.#offsets = new Float64Array(table)
  }

  /** How many keys there are. */
  get count(): number {
    return this.#count
  }

  /**
   * Notes an offset of a key; a lower one than before changes nothing.
   * @param key of at most COMPACTION_KEY_MAX_BYTES.
   * @returns false when there is no room for one more key; then nothing was changed.
   */
  put(key: KeyPlace, offset: Offset): boolean {
    const hash = halfSipHash(key, this.#seed)
    const slot = this.#find(hash, key)
    if (this.#words[addressIn(slot)] !== 0) {
      if (offset > this.#offsets[offsetIn(slot)]!) this.#offsets[offsetIn(slot)] = offset
      return true
    }
    if (this.#count === this.#countMax) return false
    const address = this.#store(key)
    if (address === null) return false
    this.#words[hashIn(slot)] = hash
    this.#words[addressIn(slot)] = address + 1
    this.#offsets[offsetIn(slot)] = offset
    this.#count++
    return true
  }

  /** The highest offset that was noted of the key; -1 where there is none. */
  latest(key: KeyPlace): Offset {
    const slot = this.#find(halfSipHash(key, this.#seed), key)
    return this.#words[addressIn(slot)] === 0 ? -1 : this.#offsets[offsetIn(slot)]!
  }

  /** The slot of the key, or the free one where it belongs. There is always a free one. */
  #find(hash: number, key: KeyPlace): number {
    let slot = hash & this.#mask
    const words = this.#words
    while (words[addressIn(slot)] !== 0) {
      if (words[hashIn(slot)] === hash && this.#isKeyAt(words[addressIn(slot)]! - 1, key)) return slot
      slot = (slot + 1) & this.#mask
    }
    return slot
  }

  #isKeyAt(address: number, { bytes, position, length }: KeyPlace): boolean {
    const chunk = this.#chunks[Math.floor(address / CHUNK_BYTES)]!
    const at = address % CHUNK_BYTES
    if (lengthAt(chunk, at) !== length) return false
    for (let i = 0; i < length; i++) if (chunk[at + LENGTH_BYTES + i] !== bytes[position + i]) return false
    return true
  }

  #store({ bytes, position, length }: KeyPlace): number | null {
    assert(length <= COMPACTION_KEY_MAX_BYTES, 'the key is too long for the key map')
    if (this.#chunkBytes + LENGTH_BYTES + length > CHUNK_BYTES) {
      if (this.#chunks.length === this.#chunksMax) return null
      this.#chunks.push(new Uint8Array(CHUNK_BYTES))
      this.#chunkBytes = 0
    }
    const chunk = this.#chunks[this.#chunks.length - 1]!
    const at = this.#chunkBytes
    for (let i = 0; i < LENGTH_BYTES; i++) chunk[at + i] = length >>> (8 * i)
    for (let i = 0; i < length; i++) chunk[at + LENGTH_BYTES + i] = bytes[position + i]!
    this.#chunkBytes += LENGTH_BYTES + length
    return (this.#chunks.length - 1) * CHUNK_BYTES + at
  }
}

/** Where in the words of the table a slot has its hash. */
function hashIn(slot: number): number {
  return slot * 4
}

function addressIn(slot: number): number {
  return slot * 4 + 1
}

/** Where in the table, as one of 64-bit numbers, a slot has its offset. */
function offsetIn(slot: number): number {
  return slot * 2 + 1
}

function lengthAt(chunk: Uint8Array, at: number): number {
  return chunk[at]! | (chunk[at + 1]! << 8) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 24)
}

/** HalfSipHash-2-4 with 32 bits: a keyed hash of 32-bit operations, made for hash tables of keys that others choose. */
export function halfSipHash(key: KeyPlace, seed: readonly [number, number]): number {
  const { bytes, position, length } = key
  let v0 = seed[0]
  let v1 = seed[1]
  let v2 = 0x6c796765 ^ v0
  let v3 = 0x74656462 ^ v1
  const words = (length >>> 2) + 1
  for (let word = 0; word < words + 2; word++) {
    // The last word holds the length and the bytes that are left; two more pairs of rounds end the hash.
    let message = 0
    if (word < words - 1) {
      const at = position + 4 * word
      message = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    } else if (word === words - 1) {
      message = length << 24
      for (let i = 0; i < (length & 3); i++) message |= bytes[position + 4 * word + i]! << (8 * i)
    }
    if (word < words) v3 ^= message
    else if (word === words) v2 ^= 0xff
    for (let round = 0; round < 2; round++) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    if (word < words) v0 ^= message
  }
  return (v1 ^ v3) >>> 0
}
