import { describe, expect, it } from 'vitest'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { cpu, readFile, writeFile } from './fixtures.ts'

const PATH = '/data/file'

async function files(version = 1, format = 'test') {
  const disk = new MemoryFileSystem()
  await disk.makeDirectory('/data')
  return { disk, file: new AtomicFile({ fileSystem: disk, cpu, path: PATH, format, version }) }
}

describe('atomic file', () => {
  it('written -> read back; replaced by shorter content -> nothing of the old is left', async () => {
    const { disk, file } = await files()
    expect(await file.read()).toEqual({ status: 'absent' })
    for (const data of [{ list: [1, 2, 3], text: 'übung' }, 'x'.repeat(1000), 7, null, []]) {
      await file.write(data)
      expect(await file.read()).toEqual({ status: 'ok', data })
    }
    expect(await disk.list('/data')).toEqual([{ name: 'file', isDirectory: false }])
  })

  it('STO-44: the format -> one line of JSON with its checksum first', async () => {
    const { disk, file } = await files()
    await file.write({ a: 1 })
    const text = new TextDecoder().decode(await readFile(disk, PATH))
    expect(text).toBe('{"crc32c":"24add12f","format":"test","version":1,"data":{"a":1}}\n')
    expect(JSON.parse(text)).toMatchObject({ data: { a: 1 } })
  })

  it('STO-15: every byte changed, every length -> damaged, never another content', async () => {
    const { disk, file } = await files()
    await file.write({ offset: 12 })
    const whole = await readFile(disk, PATH)
    for (let i = 0; i < whole.length; i++) {
      for (const bit of [0, 5]) {
        const changed = whole.slice()
        changed[i]! ^= 1 << bit
        await writeFile(disk, PATH, changed)
        expect((await file.read()).status).toBe('damaged')
      }
      await writeFile(disk, PATH, whole.subarray(0, i))
      expect((await file.read()).status).toBe('damaged')
    }
    await writeFile(disk, PATH, new Uint8Array([...whole, 32]))
    expect((await file.read()).status).toBe('damaged')
  })

  it('another format under the name -> damaged; a later version -> newer', async () => {
    const { disk, file } = await files()
    await file.write(1)
    const other = new AtomicFile({ fileSystem: disk, cpu, path: PATH, format: 'other', version: 1 })
    expect(await other.read()).toEqual({ status: 'damaged', reason: 'it is no other' })
    const later = new AtomicFile({ fileSystem: disk, cpu, path: PATH, format: 'test', version: 3 })
    await later.write('unknown')
    expect(await file.read()).toEqual({ status: 'newer', version: 3 })
    expect(await later.read()).toEqual({ status: 'ok', data: 'unknown' })
  })

  it('removed -> absent; again -> nothing', async () => {
    const { file } = await files()
    await file.write(1)
    await file.remove()
    await file.remove()
    expect(await file.read()).toEqual({ status: 'absent' })
  })
})
