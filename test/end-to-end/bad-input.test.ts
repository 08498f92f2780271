import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../src/cli/free-ports.ts'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import {
  destroyCluster,
  makeDirectory,
  removeDirectory,
  runCommand,
  startCluster,
  startCommand,
} from './command.ts'

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  )
}

describe('one broker: wrong input gets a clear error', () => {
  let cluster: LocalCluster
  const vltava = (args: readonly string[], input: Uint8Array | string = '') =>
    runCommand([...args, '-b', cluster.bootstrap], { input })

  beforeAll(async () => {
    cluster = await startCluster('bad-input', { brokers: 1 })
  })
  afterAll(() => destroyCluster(cluster))

  it('produce and consume: unknown topic -> exit 1 and the name', async () => {
    for (const args of [
      ['produce', 'nowhere'],
      ['consume', 'nowhere', '-e'],
      ['topic', 'describe', 'nowhere'],
    ]) {
      const { code, stderr } = await vltava(args, 'x\n')
      expect(code).toBe(1)
      expect(stderr).toContain('"nowhere"')
      expect(stderr).toContain('does not exist')
    }
  })

  it.each(['', 'a/b', '..', 'x'.repeat(250), '__internal', 'ümlaut'])(
    'topic create: bad name %j -> an error that says what is allowed',
    async (name) => {
      const { code, stderr } = await vltava(['topic', 'create', name])
      expect(code).toBe(1)
      expect(stderr).toMatch(/name/i)
    },
  )

  it('topic create: replication factor above the brokers -> both numbers are named', async () => {
    const { code, stderr } = await vltava(['topic', 'create', 'too-many', '--replication-factor', '3'])
    expect(code).toBe(1)
    expect(stderr).toContain('3')
    expect(stderr).toContain('1')
    expect(stderr.toLowerCase()).toContain('replication factor')
  })

  it('topic create: a name twice, bad settings, bad numbers -> errors that name them', async () => {
    await vltava(['topic', 'create', 'twice'])
    expect((await vltava(['topic', 'create', 'twice'])).stderr).toContain('exists')
    expect((await vltava(['topic', 'create', 'c', '--config', 'no.such=1'])).stderr).toContain('no.such')
    expect((await vltava(['topic', 'create', 'c', '--config', 'max.message.bytes=tiny'])).stderr).toContain(
      'max.message.bytes',
    )
    expect(await vltava(['topic', 'create', 'c', '--partitions', 'many'])).toMatchObject({ code: 2 })
    expect((await vltava(['topic', 'create', 'c', '--partitions', '0'])).code).toBe(1)
  })

  it('produce: a record above max.message.bytes -> that line fails, the others are there', async () => {
    await vltava(['topic', 'create', 'small', '--config', 'max.message.bytes=2048'])
    const { code, stderr } = await vltava(['produce', 'small'], `first\n${'x'.repeat(5_000)}\nlast\n`)
    expect(code).toBe(1)
    expect(stderr).toContain('line 2')
    expect(stderr).toContain('max.message.bytes')
    expect(stderr).toContain('2048')
    expect((await vltava(['consume', 'small', '-e'])).stdout.toString()).toBe('first\nlast\n')
  })

  it('wrong options -> exit 2', async () => {
    for (const args of [
      ['produce'],
      ['produce', 't', '--acks', 'most'],
      ['consume', 't', '--from', 'somewhere'],
      ['consume', 't', '--delimiter', '\\q'],
      ['topic', 'delete', 't'],
      ['nonsense'],
      ['consume', 't', '--no-such-option'],
    ]) {
      const { code, stderr } = await vltava(args)
      expect({ args, code }).toEqual({ args, code: 2 })
      expect(stderr).not.toBe('')
    }
  })

  it('a second process on the data directory -> refused, and the first is named', async () => {
    const [port] = await freePorts(1)
    const node = cluster.nodes[0]!
    const { code, stderr } = await runCommand(['serve', '--data-dir', node.dataDir, '--port', String(port)])
    expect(code).not.toBe(0)
    expect(stderr).toContain(String(node.process!.pid))
    expect(stderr).toContain(node.dataDir)
  })

  it('a port in use -> refused, and the port is named', async () => {
    const directory = makeDirectory('port')
    const { code, stderr } = await runCommand([
      'serve',
      '--data-dir',
      directory,
      '--port',
      String(cluster.nodes[0]!.port),
    ])
    expect(code).not.toBe(0)
    expect(stderr).toContain(String(cluster.nodes[0]!.port))
    expect(stderr).toContain('in use')
    removeDirectory(directory)
  })
})

describe('addresses that are no broker', () => {
  it('nothing listens -> exit 1 and the address, not a hang', async () => {
    const [port] = await freePorts(1)
    const { code, stderr } = await runCommand(['topic', 'list', '-b', `127.0.0.1:${port}`])
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}`)
  })

  it('plain HTTP -> exit 1, and it says that this is no broker', async () => {
    const server = createHttpServer((_request, response) => response.end('hello'))
    const port = await listen(server)
    const { code, stderr } = await runCommand(['topic', 'list', '-b', `127.0.0.1:${port}`])
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}`)
    server.close()
  })

  it('a port that accepts and never answers -> exit 1 after a deadline', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
    })
    const port = await listen(server)
    const { code, stderr } = await runCommand(['topic', 'list', '-b', `127.0.0.1:${port}`])
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}`)
    server.close()
  })

  it('no URL at all -> exit 2', async () => {
    const { code, stderr } = await runCommand(['topic', 'list', '-b', 'http://example'])
    expect(code).toBe(2)
    expect(stderr).toContain('http://example')
  })
})

describe('data directories', () => {
  async function serveOnce(
    directory: string,
    args: readonly string[],
  ): Promise<{ code: number | null; stderr: string }> {
    const [port] = await freePorts(1)
    const command = startCommand(['serve', '--data-dir', directory, '--port', String(port), ...args])
    await Promise.race([command.whenSaid('broker-unfenced').catch(() => {}), command.done])
    command.child.kill('SIGTERM')
    return command.done
  }

  it('of another node -> refused, both ids are named', async () => {
    const directory = makeDirectory('other-node')
    expect((await serveOnce(directory, ['--node-id', '7'])).code).toBe(0)
    const { code, stderr } = await serveOnce(directory, ['--node-id', '8'])
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/7/)
    expect(stderr).toMatch(/8/)
    removeDirectory(directory)
  })

  it('a node with peers and without a secret -> refused, and the option is named', async () => {
    const directory = makeDirectory('no-secret')
    const { code, stderr } = await runCommand([
      'serve',
      '--data-dir',
      directory,
      '--peers',
      '1@127.0.0.1:7101,2@127.0.0.1:7102',
    ])
    expect(code).toBe(2)
    expect(stderr).toContain('--cluster-secret-file')
    removeDirectory(directory)
  })

  it('a configuration file with an unknown setting -> refused, file and setting are named', async () => {
    const directory = makeDirectory('config')
    const file = join(directory, 'node.yaml')
    writeFileSync(file, 'node.id: 1\nno.such.setting: 5\n')
    const { code, stderr } = await runCommand(['serve', '--config', file, '--data-dir', directory])
    expect(code).toBe(2)
    expect(stderr).toContain('no.such.setting')
    expect(stderr).toContain('node.yaml')
    removeDirectory(directory)
  })
})
