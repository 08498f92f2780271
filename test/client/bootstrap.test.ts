import { describe, expect, it } from 'vitest'
import { parseBootstrap } from '../../src/client/bootstrap.ts'

describe('bootstrap addresses', () => {
  it.each<[string | readonly string[], readonly string[]]>([
    ['localhost:9092', ['ws://localhost:9092']],
    ['ws://h:1', ['ws://h:1']],
    ['WSS://Host:443/', ['wss://host:443']],
    ['wss://host', ['wss://host:443']],
    ['ws://host/', ['ws://host:80']],
    ['ws://host/broker/1', ['ws://host:80/broker/1']],
    ['a:1, b:2 ,c:3,', ['ws://a:1', 'ws://b:2', 'ws://c:3']],
    [
      ['a:1', 'ws://b:2,c:3'],
      ['ws://a:1', 'ws://b:2', 'ws://c:3'],
    ],
    [['a:1', 'A:1', 'ws://a:1/'], ['ws://a:1']],
    ['[::1]:9092', ['ws://[::1]:9092']],
    ['127.0.0.1:65535', ['ws://127.0.0.1:65535']],
  ])('%j: %j', (given, urls) => {
    expect(parseBootstrap(given)).toEqual(urls)
  })

  it.each<[unknown, string]>([
    ['localhost', '"localhost"'],
    ['http://host:1', '"http://host:1"'],
    ['host:0', '"host:0"'],
    ['host:65536', '"host:65536"'],
    ['host:port', '"host:port"'],
    ['', '""'],
    [[], 'an empty list'],
    [',', 'an empty list'],
    [undefined, 'undefined'],
    [[5, 'a:1'], '5'],
    ['user:secret@host:1', '"user:secret@host:1"'],
    ['host:1/path', '"host:1/path"'],
    ['a:1,b,c:2,d', '"b", "d"'],
    ['::1:9092', '"::1:9092"'],
  ])('%j: refused, naming it', (given, named) => {
    expect(() => parseBootstrap(given as string)).toThrowError(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/^bootstrap: .* is not allowed; give addresses such as/),
      }),
    )
    expect(() => parseBootstrap(given as string)).toThrowError(`bootstrap: ${named} is not allowed`)
  })

  it('more addresses than anybody needs: refused', () => {
    const many = Array.from({ length: 101 }, (_, i) => `h${i}:1`)
    expect(() => parseBootstrap(many)).toThrowError('101 addresses were given, 100 are allowed')
  })
})
