// What a test cluster leaves behind in its process: nothing. Runs the built package in a process of its own.
import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'

const ENTRY = new URL('dist/testing/index.js', `${pathToFileURL(REPOSITORY_ROOT).href}/`).href

/** Uses a cluster, stops it, and says what keeps the process alive; the process must end by itself. */
const scriptOf = (options: object): string => `
  import { startCluster } from ${JSON.stringify(ENTRY)}
  const cluster = await startCluster(${JSON.stringify(options)})
  const client = cluster.client()
  await client.admin.createTopic({ name: 't', replicationFactor: 3 })
  const producer = client.producer()
  await producer.send({ topic: 't', value: 'a' })
  cluster.partition([1], [2, 3, 'clients'])
  await cluster.kill(1)
  await cluster.kill(2)
  await cluster.restart(2)
  await cluster.stop()
  await new Promise(setImmediate)
  const kept = process.getActiveResourcesInfo().filter((name) => !/^(PipeWrap|TTYWrap)$/.test(name))
  process.stdout.write(JSON.stringify(kept))
`

describe('startCluster: what is left after stop', () => {
  it.each([
    { sockets: false, storage: 'memory' },
    { sockets: true, storage: 'directory' },
  ])(
    '%o, with a partition and dead nodes: no timer, no socket, no file, and the process ends',
    async (options) => {
      const args = ['--input-type=module', '--eval', scriptOf(options)]
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 })
      expect(stdout).toBe('[]')
      expect(stderr).toBe('')
    },
  )
})
