// Makes the examples of docs/tools.md by running the commands on a small data directory.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { runCommand } from '../../src/cli/main.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import { openDirectory, P0 } from '../storage/directory-fixtures.ts'
import { cpu, TOPIC_ID } from '../storage/fixtures.ts'
import { expectGenerated } from './documents.ts'

const SHOWN_PATH = '/srv/vltava'
const LOG = `topics/${TOPIC_ID}/0`
const SEGMENT = `${LOG}/00000000000000000000.log`

let data: string

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'vltava-docs-'))
  const { directory } = await openDirectory(new NodeFileSystem(), { path: data })
  const log = await directory.openPartition(P0, { create: true, settings: LOG_SETTINGS_DEFAULT })
  for (const values of [['3 apples', '1 pear'], ['2 plums']]) {
    const builder = new BatchBuilder({ cpu, maxBytes: 10_000 })
    for (const value of values) {
      const key = cpu.encodeUtf8('customer-7')
      builder.tryAppend({ key, value: cpu.encodeUtf8(value), timestampMs: Date.UTC(2026, 0, 1) })
    }
    await log.appendAsLeader(builder.build(), 5).written
  }
  await log.flush()
  await directory.close({ cleanBrokerEpoch: 12, highWatermarks: new Map([[`${TOPIC_ID}/0`, 3]]) })
})

afterAll(async () => {
  await rm(data, { recursive: true })
})

/** The command as a person types it, and what it prints. */
async function session(command: string): Promise<string> {
  let text = ''
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const args = command.split(' ').map((word) => word.replace(SHOWN_PATH, data))
  await runCommand(['log', ...args], {
    stdin: Readable.from([]),
    stdout: output,
    stderr: output,
    isErrorTty: false,
    env: {},
    interrupted: new AbortController().signal,
    isOutputClosed: () => false,
  })
  return `$ vltava log ${command}\n${text.replaceAll(data, SHOWN_PATH)}`
}

async function example(name: string, commands: readonly string[]): Promise<string> {
  const sessions: string[] = []
  for (const command of commands) {
    if (command === 'flip a bit') {
      const bytes = await readFile(join(data, SEGMENT))
      bytes[100]! ^= 1
      await writeFile(join(data, SEGMENT), bytes)
    } else sessions.push(await session(command))
  }
  const body = `\`\`\`\n${sessions.join('\n')}\`\`\``
  expectGenerated({ path: 'docs/tools.md', name, body })
  return body
}

describe('docs/tools.md', () => {
  it('the examples: are what the commands print', async () => {
    await example('dump', [
      `dump ${SHOWN_PATH}`,
      `dump ${SHOWN_PATH}/${LOG}`,
      `dump ${SHOWN_PATH}/${SEGMENT} --records`,
    ])
    await example('verify', [`verify ${SHOWN_PATH}`, 'flip a bit', `verify ${SHOWN_PATH}`])
  })
})
