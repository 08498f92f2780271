import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createNodeClock } from '../../src/platform/node/node-clock.ts'
import { createWebClock } from '../../src/platform/web/web-clock.ts'

const closers: (() => Promise<void> | void)[] = []
let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vltava-clock-'))
})

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  await rm(directory, { recursive: true })
})

/** Two ends of a Unix socket: what one writes lies in the buffer of the other when `write` returns. */
async function socketPair(name: string): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const path = join(directory, name)
  const server = createServer()
  const accepted = once(server, 'connection')
  server.listen(path)
  await once(server, 'listening')
  const near = connect(path)
  const [far] = (await accepted) as [Socket]
  if (near.connecting) await once(near, 'connect')
  closers.push(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far }
}

describe.each([
  ['node', createNodeClock],
  ['web', createWebClock],
] as const)('%s clock', (_name, createClock: () => Clock) => {
  it('afterPendingIo: called inside an I/O callback, bytes arrived during it -> they are read first', async () => {
    const clock = createClock()
    const trigger = await socketPair('trigger')
    const heartbeat = await socketPair('heartbeat')
    const order: string[] = []
    const done = deferred<void>()
    heartbeat.near.on('data', () => order.push('heartbeat read'))
    trigger.near.once('data', () => {
      // As if this callback had stalled the event loop while a peer's heartbeat came in.
      heartbeat.far.write('alive')
      clock.afterPendingIo(() => {
        order.push('peer judged')
        done.resolve()
      })
    })
    trigger.far.write('go')
    await done.promise
    expect(order).toEqual(['heartbeat read', 'peer judged'])
  })
})
