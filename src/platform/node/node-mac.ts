import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Mac } from '../../base/cpu.ts'

/** HMAC-SHA256 of OpenSSL. */
export function createNodeMac(): Mac {
  return {
    hmacSha256: (key, data) => createHmac('sha256', key).update(data).digest(),
    // timingSafeEqual throws on different lengths. A length is no secret: both sides are digests.
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  }
}
