import { createHash } from 'node:crypto'

/** A running SHA-256. */
export interface Digest {
  update(text: string): void
  /** The digest of everything so far, as hexadecimal text; more may follow. */
  current(): string
}

export function createNodeDigest(): Digest {
  const hash = createHash('sha256')
  return {
    update: (text) => void hash.update(text),
    current: () => hash.copy().digest('hex'),
  }
}
