import { describe, expect, it } from 'vitest'
import { type HealthOptions, healthHandler } from '../../src/server/health.ts'

async function answers(options: Partial<HealthOptions>, path: string): Promise<string | null> {
  const handler = healthHandler({
    whyNotReady: () => null,
    readOnlyReason: () => null,
    metrics: () => Promise.resolve({ status: 200, body: 'metrics', contentType: 'text/plain' }),
    ...options,
  })
  const answer = await handler({ path, method: 'GET' })
  return answer === null ? null : `${answer.status} ${answer.body}`
}

describe('health', () => {
  const starting = (): string => 'starting'
  const readOnlyReason = (): string => 'its disk is 96 % full'

  it.each([
    ['/healthz', {}, '200 ok\n'],
    ['/readyz', {}, '200 ready\n'],
    ['/readyz', { whyNotReady: starting }, '503 starting\n'],
    ['/healthz', { whyNotReady: starting }, '200 ok\n'],
    ['/metrics', {}, '200 metrics'],
    ['/other', {}, null],
  ] as const)('%s with %j -> what it says', async (path, options, expected) => {
    expect(await answers(options, path)).toBe(expected)
  })

  it('STO-16: a disk that is too full -> still alive and ready to be read, and both say that it only reads', async () => {
    expect(await answers({ readOnlyReason }, '/healthz')).toBe('200 ok\nread-only: its disk is 96 % full\n')
    expect(await answers({ readOnlyReason }, '/readyz')).toBe('200 ready\nread-only: its disk is 96 % full\n')
  })
})
