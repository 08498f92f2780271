import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecordSplitter, splitKey } from '../../src/cli/record-splitter.ts'

function split(chunks: readonly Uint8Array[], delimiter: Uint8Array): Buffer[] {
  const splitter = new RecordSplitter(delimiter, 1 << 20)
  const records: Buffer[] = []
  for (const chunk of chunks) splitter.push(chunk, (record) => records.push(Buffer.from(record)))
  const last = splitter.end()
  if (last !== null) records.push(Buffer.from(last))
  return records
}

/** The slow and obvious way: everything in one string of bytes. */
function naive(bytes: Buffer, delimiter: Buffer): Buffer[] {
  const records = bytes.toString('latin1').split(delimiter.toString('latin1'))
  if (records.at(-1) === '') records.pop()
  return records.map((record) => Buffer.from(record, 'latin1'))
}

describe('RecordSplitter', () => {
  it('CRLF input with LF delimiter -> the CR stays', () => {
    expect(split([Buffer.from('a\r\nb\r\n')], Buffer.from('\n')).map(String)).toEqual(['a\r', 'b\r'])
  })

  it('empty lines -> empty records; no final delimiter -> a last record', () => {
    expect(split([Buffer.from('a\n\nb')], Buffer.from('\n')).map(String)).toEqual(['a', '', 'b'])
    expect(split([Buffer.from('')], Buffer.from('\n'))).toEqual([])
    expect(split([Buffer.from('\n')], Buffer.from('\n')).map(String)).toEqual([''])
  })

  it('a record longer than allowed -> an error before memory fills', () => {
    const splitter = new RecordSplitter(Buffer.from('\n'), 10)
    expect(() => splitter.push(Buffer.alloc(11, 'x'), () => {})).toThrow('no delimiter within 10 bytes')
  })

  it('any bytes, any chunks, any delimiter -> the same as splitting the whole', () => {
    const alphabet = fc.constantFrom(10, 13, 65, 66)
    fc.assert(
      fc.property(
        fc.array(
          fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
          { maxLength: 6 },
        ),
        fc.array(
          fc.array(alphabet, { maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
          { maxLength: 8 },
        ),
        fc.array(alphabet, { minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
        (random, dense, delimiter) => {
          const chunks = [...random, ...dense]
          expect(split(chunks, delimiter)).toEqual(naive(Buffer.concat(chunks), delimiter))
        },
      ),
      { seed: 7, numRuns: 500 },
    )
  })
})

describe('splitKey', () => {
  it('first separator counts; without one there is no key', () => {
    const separator = Buffer.from('::')
    expect(splitKey(Buffer.from('k::v::w'), separator)).toEqual({
      key: Buffer.from('k'),
      value: Buffer.from('v::w'),
    })
    expect(splitKey(Buffer.from('::v'), separator)).toEqual({ key: Buffer.from(''), value: Buffer.from('v') })
    expect(splitKey(Buffer.from('k:v'), separator)).toBeNull()
  })
})
