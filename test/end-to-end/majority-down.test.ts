import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import { describeTopic, destroyCluster, runCommand, startCluster } from './command.ts'

const STOP_TIMEOUT_MS = 30_000
const READY_TIMEOUT_MS = 60_000

describe('a majority of the brokers is down', () => {
  let cluster: LocalCluster
  const vltava = (args: readonly string[], input = '') =>
    runCommand([...args, '-b', cluster.bootstrap], { input })

  beforeEach(async () => {
    cluster = await startCluster('majority')
    expect((await vltava(['topic', 'create', 't'])).code).toBe(0)
    expect((await vltava(['produce', 't'], 'before\n')).code).toBe(0)
  })
  afterEach(() => destroyCluster(cluster))

  const leader = async (): Promise<number> =>
    (await describeTopic(cluster.bootstrap, 't')).partitions[0]!.leader!

  async function kill(ids: readonly number[]): Promise<void> {
    for (const id of ids) cluster.signal(id, 'SIGKILL')
    for (const id of ids) expect(await cluster.whenStopped(id, STOP_TIMEOUT_MS)).toBe(true)
  }

  async function restart(ids: readonly number[]): Promise<void> {
    for (const id of ids) cluster.start(id)
    await cluster.whenReady(READY_TIMEOUT_MS)
  }

  it('the followers: produce -> fails in time, names both, says that the outcome is unknown; they return -> it goes on', async () => {
    const lead = await leader()
    const dead = [1, 2, 3].filter((id) => id !== lead)
    await kill(dead)
    const failed = await vltava(['produce', 't', '--delivery-timeout', '3000'], 'lonely\n')
    expect(failed.code).toBe(1)
    for (const id of dead) expect(failed.stderr).toMatch(new RegExp(`broker ${id}\\b`))
    expect(failed.stderr).toContain('outcome is unknown')
    await restart(dead)
    expect((await vltava(['produce', 't'], 'after\n')).code).toBe(0)
    const read = (await vltava(['consume', 't', '-e'])).stdout.toString().trimEnd().split('\n')
    expect(read[0]).toBe('before')
    expect(read.at(-1)).toBe('after')
    expect(new Set(read.slice(1, -1))).toEqual(new Set(['lonely']))
  })

  it('the leader and another one: produce -> fails in time, names them, says that nothing was sent; they return -> it goes on', async () => {
    const lead = await leader()
    const dead = [lead, lead === 1 ? 2 : 1]
    await kill(dead)
    const failed = await vltava(['produce', 't', '--delivery-timeout', '3000'], 'never\n')
    expect(failed.code).toBe(1)
    for (const id of dead) expect(failed.stderr).toContain(`127.0.0.1:${cluster.node(id).port}`)
    expect(failed.stderr).toContain('outcome is definite')
    await restart(dead)
    expect((await vltava(['produce', 't'], 'after\n')).code).toBe(0)
    expect((await vltava(['consume', 't', '-e'])).stdout.toString()).toBe('before\nafter\n')
  })
})
