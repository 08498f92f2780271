import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import {
  describeTopic,
  destroyCluster,
  inputFiles,
  runCommand,
  startCluster,
  startCommand,
  withFinalDelimiter,
} from './command.ts'

describe('a cluster of three processes', () => {
  let cluster: LocalCluster
  const vltava = (args: readonly string[], input: Uint8Array | string = '') =>
    runCommand([...args, '-b', cluster.bootstrap], { input })

  beforeAll(async () => {
    cluster = await startCluster('cluster')
  })
  afterAll(() => destroyCluster(cluster))

  it.each(inputFiles())('one partition: $name -> consume prints the same bytes', async ({ name, bytes }) => {
    const topic = `bytes-${name}`
    expect((await vltava(['topic', 'create', topic])).code).toBe(0)
    const produced = await vltava(['produce', topic], bytes)
    expect(produced).toMatchObject({ code: 0 })
    const consumed = await vltava(['consume', topic, '--exit-at-end'])
    expect(consumed.code).toBe(0)
    expect(consumed.stdout.equals(withFinalDelimiter(bytes))).toBe(true)
  })

  it('four partitions: numbered lines -> each is there exactly once', async () => {
    await vltava(['topic', 'create', 'four', '--partitions', '4'])
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`)
    expect((await vltava(['produce', 'four', '--key-separator', ' '], lines.join('\n'))).code).toBe(0)
    const consumed = await vltava(['consume', 'four', '-e', '--key-separator', ' '])
    expect(consumed.stdout.toString().trimEnd().split('\n').sort()).toEqual([...lines].sort())
  })

  it('records without a key: four partitions -> each line exactly once, in order within a partition', async () => {
    await vltava(['topic', 'create', 'spread', '--partitions', '4'])
    const lines = Array.from({ length: 5_000 }, (_, i) => String(i))
    await vltava(['produce', 'spread'], lines.join('\n'))
    const { stdout } = await vltava(['consume', 'spread', '-e', '--json'])
    const records = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { partition: number; offset: number; value: string })
    expect(records.map(({ value }) => Number(value)).sort((a, b) => a - b)).toEqual(lines.map(Number))
    for (let partition = 0; partition < 4; partition++) {
      const own = records.filter((record) => record.partition === partition)
      expect(own.map(({ offset }) => offset)).toEqual(own.map((_, i) => i))
      expect(own.map(({ value }) => Number(value))).toEqual(
        own.map(({ value }) => Number(value)).sort((a, b) => a - b),
      )
    }
  })

  it('topic describe: three replicas -> leader, full ISR and the end of the log', async () => {
    await vltava(['topic', 'create', 'shape'])
    await vltava(['produce', 'shape'], 'a\nb\nc\n')
    const topic = await describeTopic(cluster.bootstrap, 'shape')
    expect(topic.name).toBe('shape')
    expect(topic.partitions).toHaveLength(1)
    const [partition] = topic.partitions
    expect([...partition!.replicas].sort((a, b) => a - b)).toEqual([1, 2, 3])
    expect([...partition!.isr].sort((a, b) => a - b)).toEqual([1, 2, 3])
    expect(partition).toMatchObject({ logStartOffset: 0, highWatermark: 3, logEndOffset: 3 })
  })

  it('consume --from: beginning, end, offset, last N and time -> the right records', async () => {
    await vltava(['topic', 'create', 'seek'])
    await vltava(['produce', 'seek'], 'a\nb\nc\nd\n')
    const read = async (...args: string[]): Promise<string> =>
      (await vltava(['consume', 'seek', '-e', ...args])).stdout.toString()
    expect(await read('-o', 'beginning')).toBe('a\nb\nc\nd\n')
    expect(await read('-o', 'end')).toBe('')
    expect(await read('-o', '2')).toBe('c\nd\n')
    expect(await read('-o', '-1')).toBe('d\n')
    expect(await read('-o', '-100')).toBe('a\nb\nc\nd\n')
    expect(await read('-o', '@0')).toBe('a\nb\nc\nd\n')
    expect(await read('-o', '@2999-01-01T00:00:00Z')).toBe('')
    expect(await read('-o', '1', '-c', '2', '--delimiter', '\\0')).toBe('b\0c\0')
  })

  it('topic list and delete: a deleted topic -> gone, and its name can be used anew', async () => {
    await vltava(['topic', 'create', 'short-lived'])
    await vltava(['produce', 'short-lived'], 'old\n')
    expect((await vltava(['topic', 'list'])).stdout.toString().split('\n')).toContain('short-lived')
    expect((await vltava(['topic', 'delete', 'short-lived'])).code).toBe(2)
    expect((await vltava(['topic', 'delete', 'short-lived', '--yes'])).code).toBe(0)
    expect((await vltava(['topic', 'list'])).stdout.toString().split('\n')).not.toContain('short-lived')
    expect((await vltava(['consume', 'short-lived', '-e'])).code).toBe(1)
    expect((await vltava(['topic', 'create', 'short-lived'])).code).toBe(0)
    expect((await vltava(['consume', 'short-lived', '-e'])).stdout.toString()).toBe('')
  })

  it('consume into a pipe that closes: exit 0 and nothing on stderr', async () => {
    await vltava(['topic', 'create', 'pipe'])
    await vltava(
      ['produce', 'pipe'],
      Array.from({ length: 50_000 }, (_, i) => `line ${i} with some text to fill the pipe`).join('\n'),
    )
    const { child, done } = startCommand(['consume', 'pipe', '-b', cluster.bootstrap])
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await done).toMatchObject({ code: 0, stderr: '' })
  })

  it('Ctrl-C during produce: exit 130, and what was acknowledged is reported and readable', async () => {
    await vltava(['topic', 'create', 'interrupted'])
    const { child, done } = startCommand(['produce', 'interrupted', '--json', '-b', cluster.bootstrap])
    child.stdin.write('one\ntwo\nthree\n')
    const watcher = startCommand(['consume', 'interrupted', '-c', '3', '-b', cluster.bootstrap])
    await watcher.done
    child.kill('SIGINT')
    const result = await done
    expect(result.code).toBe(130)
    expect(result.stderr).toContain('3 records acknowledged')
    expect(JSON.parse(result.stdout.toString())).toMatchObject({ records: 3, failed: 0 })
  })
})
