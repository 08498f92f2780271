import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createNodeDigest } from '../../src/platform/node/node-digest.ts'

describe('node digest', () => {
  it('SIM-3: texts in several parts -> the SHA-256 of all of them, at every moment', () => {
    const digest = createNodeDigest()
    expect(digest.current()).toBe(createHash('sha256').digest('hex'))
    let all = ''
    for (const part of ['a line\n', '', 'täxt', '\u0000']) {
      digest.update(part)
      all += part
      expect(digest.current()).toBe(createHash('sha256').update(all).digest('hex'))
      expect(digest.current()).toBe(digest.current())
    }
  })
})
