import { describe, expect, it } from 'vitest'
import { type HealthOptions, healthHandler } from '../../src/server/health.ts'
import type { Readiness } from '../../src/server/readiness.ts'

const READY: Readiness = {
  ready: true,
  reason: null,
  broker: { registered: true, caughtUp: true, unfenced: true },
  controller: null,
}
const FENCED: Readiness = {
  ready: false,
  reason: 'the broker is not unfenced yet',
  broker: { registered: true, caughtUp: true, unfenced: false },
  controller: null,
}
const READY_BODY =
  '{"ready":true,"reason":null,"broker":{"registered":true,"caughtUp":true,"unfenced":true},"controller":null,"readOnly":null}\n'
const FENCED_BODY =
  '{"ready":false,"reason":"the broker is not unfenced yet","broker":{"registered":true,"caughtUp":true,"unfenced":false},"controller":null,"readOnly":null}\n'

async function answers(options: Partial<HealthOptions>, path: string): Promise<string | null> {
  const handler = healthHandler({
    readiness: () => READY,
    readOnlyReason: () => null,
    metrics: () => Promise.resolve({ status: 200, body: 'metrics', contentType: 'text/plain' }),
    ...options,
  })
  const answer = await handler({ path, method: 'GET' })
  return answer === null ? null : `${answer.status} ${answer.body}`
}

describe('health', () => {
  const readiness = (): Readiness => FENCED
  const readOnlyReason = (): string => 'its disk is 96 % full'

  it.each([
    ['/healthz', {}, '200 ok\n'],
    ['/readyz', {}, `200 ${READY_BODY}`],
    ['/readyz', { readiness }, `503 ${FENCED_BODY}`],
    ['/healthz', { readiness }, '200 ok\n'],
    ['/metrics', {}, '200 metrics'],
    ['/other', {}, null],
  ] as const)('%s with %j -> what it says', async (path, options, expected) => {
    expect(await answers(options, path)).toBe(expected)
  })

  it('STO-16: a disk that is too full -> still alive and ready to be read, and both say that it only reads', async () => {
    expect(await answers({ readOnlyReason }, '/healthz')).toBe('200 ok\nread-only: its disk is 96 % full\n')
    expect(await answers({ readOnlyReason }, '/readyz')).toMatch(/^200 .*"readOnly":"its disk is 96 % full"/)
  })
})
