import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { explainingAccess } from '../../src/cli/log-access.ts'
import { runCommand } from '../../src/cli/main.ts'
import { type Terminal, UsageError } from '../../src/cli/terminal.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import { openDirectory, P0 } from '../storage/directory-fixtures.ts'
import { cpu, segmentPath, TOPIC_ID } from '../storage/fixtures.ts'

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

class TextSink extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

async function run(args: readonly string[], options: Partial<Terminal> = {}): Promise<Ran> {
  const [stdout, stderr] = [new TextSink(), new TextSink()]
  const code = await runCommand(['log', ...args], {
    stdin: Readable.from([]),
    stdout,
    stderr,
    isErrorTty: false,
    env: {},
    interrupted: new AbortController().signal,
    isOutputClosed: () => false,
    ...options,
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

let data: string
let log: string

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'vltava-log-'))
  log = join(data, 'topics', TOPIC_ID, '0')
  const { directory } = await openDirectory(new NodeFileSystem(), { path: data })
  const settings = { ...LOG_SETTINGS_DEFAULT, indexIntervalBytes: 100 }
  const opened = await directory.openPartition(P0, { create: true, settings })
  const headers = [{ key: 'h', value: cpu.encodeUtf8('w') }]
  for (const records of [
    [
      { key: cpu.encodeUtf8('k'), value: cpu.encodeUtf8('čau\n'), timestampMs: 0, headers },
      { key: null, value: Uint8Array.of(0xff, 0), timestampMs: 1_000 },
    ],
    [{ key: null, value: null, timestampMs: 2_000 }],
    [{ key: cpu.encodeUtf8('\u001b[2J'), value: cpu.encodeUtf8('x'), timestampMs: 3_000 }],
  ]) {
    const builder = new BatchBuilder({ cpu, maxBytes: 10_000 })
    for (const record of records) builder.tryAppend(record)
    await opened.appendAsLeader(builder.build(), 4).written
  }
  await opened.flush()
  await directory.close({ cleanBrokerEpoch: 9, highWatermarks: new Map([[`${TOPIC_ID}/0`, 3]]) })
})
afterEach(async () => {
  await rm(data, { recursive: true })
})

const SEGMENT = segmentPath(0, 'log', '')

describe('vltava log dump', () => {
  it('a segment -> its batches; --records -> each record, text quoted and everything else as base64', async () => {
    const { code, stdout, stderr } = await run(['dump', join(log, SEGMENT), '--records'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')).toEqual([
      '@0  offsets 0..1  epoch 4  88 bytes  crc ok  not compressed  2 records  1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z',
      '    0  1970-01-01T00:00:00.000Z  key "k"  value "čau\\n"  headers "h"="w"',
      '    1  1970-01-01T00:00:01.000Z  key null  value base64:/wA=',
      '@88  offsets 2..2  epoch 4  68 bytes  crc ok  not compressed  1 record  1970-01-01T00:00:02.000Z',
      '    2  1970-01-01T00:00:02.000Z  key null  value null',
      '@156  offsets 3..3  epoch 4  73 bytes  crc ok  not compressed  1 record  1970-01-01T00:00:03.000Z',
      '    3  1970-01-01T00:00:03.000Z  key base64:G1sySg==  value "x"',
      '',
    ])
  })

  it('--from and --limit -> the part that is asked for', async () => {
    const { stdout } = await run(['dump', join(log, SEGMENT), '--from', '1', '--records', '--limit', '3'])
    expect(stdout.split('\n').map((line) => line.slice(0, 16))).toEqual([
      '@0  offsets 0..1',
      '    1  1970-01-0',
      '@88  offsets 2..',
      '',
    ])
    expect((await run(['dump', join(log, SEGMENT), '--from', '3'])).stdout).toMatch(/^@156 {2}offsets 3\.\.3/)
    expect((await run(['dump', join(log, SEGMENT), '--from', '99'])).stdout).toBe('')
  })

  it('--json -> an object for each batch and record', async () => {
    const { stdout } = await run(['dump', join(log, SEGMENT), '--records', '--json'])
    const items = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(items).toHaveLength(7)
    expect(items[0]).toMatchObject({
      type: 'batch',
      position: 0,
      baseOffset: 0,
      lastOffset: 1,
      leaderEpoch: 4,
      sizeBytes: 88,
      compression: 'none',
      isCrcRight: true,
      recordsCount: 2,
    })
    expect(items[2]).toEqual({
      type: 'record',
      offset: 1,
      timestamp: 1_000,
      key: null,
      value: '/wA=',
      headers: [],
      keyEncoding: 'utf8',
      valueEncoding: 'base64',
    })
  })

  it('index files -> their entries', async () => {
    expect((await run(['dump', join(log, segmentPath(0, 'index', ''))])).stdout).toBe(
      'offset 3  position 156\n',
    )
    expect((await run(['dump', join(log, segmentPath(0, 'timeindex', ''))])).stdout).toBe(
      'before offset 3  no later than 1970-01-01T00:00:02.000Z\n',
    )
  })

  it('small files -> what they hold, and whether the checksum is right', async () => {
    expect((await run(['dump', join(log, 'leader-epochs')])).stdout).toBe(
      'leader-epochs: checksum ok  [[4,0]]\n',
    )
    const path = join(data, 'clean-shutdown')
    expect((await run(['dump', path])).stdout).toBe('clean-shutdown: checksum ok  {"brokerEpoch":9}\n')
    writeFileSync(path, (await readFile(path, 'utf8')).replace('9}}', '8}}'))
    const { code, stdout } = await run(['dump', path])
    expect([code, stdout]).toEqual([
      1,
      'clean-shutdown: DAMAGED: its checksum is wrong. The stop counts as unclean; nothing to do.\n',
    ])
  })

  it('a partition and a data directory -> an overview', async () => {
    expect((await run(['dump', log])).stdout).toBe(
      `log ${log}\n\n1 segment, 229 B; flushed below 4, high watermark 3\nleader-epochs: checksum ok  [[4,0]]\n` +
        'BASE OFFSET  SIZE   OFFSET ENTRIES  TIME ENTRIES\n0            229 B  1               1\n',
    )
    const { stdout } = await run(['dump', data])
    expect(stdout).toContain(`data directory ${data}\n\nclean-shutdown: checksum ok`)
    expect(stdout).toContain(`${TOPIC_ID}/0  1         0      4              3               229 B`)
  })

  it('garbage under the name of a segment -> what is wrong with it, exit 1', async () => {
    writeFileSync(join(log, SEGMENT), Buffer.alloc(300, 0xaa))
    const { code, stdout, stderr } = await run(['dump', join(log, SEGMENT)])
    expect([code, stdout]).toEqual([1, '@0  NO BATCH  300 bytes: its magic is 170 instead of 2\n'])
    expect(stderr).toContain('Something here is damaged.')
  })

  it('a file with a foreign name, or none -> exit 2', async () => {
    const path = join(data, 'photo.jpg')
    writeFileSync(path, 'x')
    expect(await run(['dump', path])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${path}: the name is none of a file of Vltava's`),
    })
    expect(await run(['dump', join(data, 'none')])).toMatchObject({
      code: 2,
      stderr: `vltava: ${join(data, 'none')}: there is no such file or directory\n`,
    })
    expect(await run(['dump', path, '--from', 'x'])).toMatchObject({
      code: 2,
      stderr: 'vltava: --from: must be an integer from 0 to 9007199254740991, got "x"\n',
    })
  })

  it('an interrupt -> exit 130; a reader that has gone -> exit 0', async () => {
    const interrupted = AbortSignal.abort()
    expect((await run(['dump', join(log, SEGMENT)], { interrupted })).code).toBe(130)
    const ended = await run(['dump', join(log, SEGMENT)], { interrupted, isOutputClosed: () => true })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('vltava log verify', () => {
  it('a sound directory -> exit 0 and what was checked', async () => {
    expect(await run(['verify', data])).toEqual({
      code: 0,
      stdout: `${data}: 1 log, 1 segment, 3 batches, 4 offsets, 229 B\n\nNothing is damaged.\n`,
      stderr: '',
    })
  })

  it('a flipped bit -> exit 1, with file, position, offset, what is wrong and what to do', async () => {
    const path = join(log, SEGMENT)
    const bytes = await readFile(path)
    bytes[120]! ^= 4
    writeFileSync(path, bytes)
    const { code, stdout } = await run(['verify', log])
    expect(code).toBe(1)
    expect(stdout).toContain(`DAMAGE  ${path}, position 88, offset 2: the batch of the offsets`)
    expect(stdout).toContain('    Stop the broker, keep a copy of the directory of this partition')
    expect(stdout).toMatch(/1 place is damaged\.\n$/)
  })

  it('--json -> one object; the files are as they were', async () => {
    const before = await readdir(data, { recursive: true })
    const { code, stdout } = await run(['verify', data, '--json'])
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        path: data,
        inUseBy: null,
        checked: { logs: 1, segments: 1, batches: 3, records: 4, bytes: 229 },
        counts: { damage: 0, warning: 0, note: 0 },
        findings: [],
      },
    ])
    expect(await readdir(data, { recursive: true })).toEqual(before)
  })

  it('nothing there, a file, something else, no permission -> exit 2 and why', async () => {
    expect(await run(['verify', join(data, 'none')])).toMatchObject({
      code: 2,
      stderr: `vltava: ${join(data, 'none')}: there is no such file or directory\n`,
    })
    expect((await run(['verify', join(log, SEGMENT)])).stderr).toContain(': is a file, not a directory')
    const other = join(data, 'other')
    mkdirSync(other)
    expect(await run(['verify', other])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${other} is no data directory and no directory of a partition`),
    })
    expect((await run(['verify'])).code).toBe(2)
  })

  it.each(['EACCES', 'EPERM'])('%s at a file -> exit 2 with its name and what to do', async (code) => {
    const denied = Object.assign(new Error(`${code}: denied`), { code, path: '/data/x/leader-epochs' })
    const reading = explainingAccess('/data', () => Promise.reject(denied))
    await expect(reading).rejects.toThrow(
      new UsageError(
        '/data/x/leader-epochs: may not be read by this user; run the command as the user of the node',
      ),
    )
  })

  it('another error of the disk -> passed on as it is', async () => {
    const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    await expect(explainingAccess('/data', () => Promise.reject(broken))).rejects.toBe(broken)
  })

  it('an interrupt -> exit 130', async () => {
    expect((await run(['verify', data], { interrupted: AbortSignal.abort() })).code).toBe(130)
  })
})
