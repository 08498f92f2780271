import { describe, expect, it } from 'vitest'
import { CLOSE_CODES, closeReasonText } from '../../src/net/close-codes.ts'

describe('close codes', () => {
  it('every code -> is distinct, and what is sent is what a browser may send', () => {
    const rows = Object.entries(CLOSE_CODES)
    expect(new Set(rows.map(([, { code }]) => code)).size).toBe(rows.length)
    for (const [name, { code, meaning }] of rows) {
      if (name !== 'ABNORMAL') expect(code === 1_000 || (code >= 4_000 && code <= 4_999), name).toBe(true)
      expect(closeReasonText(meaning)).toBe(meaning)
    }
  })

  it('SEC-19: reasons with control characters, colours or other scripts -> printable ASCII of 123 bytes', () => {
    expect(closeReasonText('a\r\nb\x1b[31m\0\u{1F600}é')).toBe('a??b?[31m????')
    expect(closeReasonText('x'.repeat(500)).length).toBe(123)
    expect(Buffer.byteLength(closeReasonText('é'.repeat(500)))).toBe(123)
  })
})
