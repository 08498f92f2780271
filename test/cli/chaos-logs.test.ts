import { describe, expect, it } from 'vitest'
import { scanLog } from '../../src/cli/chaos-logs.ts'

const event = (level: string, name: string): string => JSON.stringify({ level, time: 'now', event: name })

describe('scanLog', () => {
  it('JEP-4: events up to warnings, an empty log, a line torn by a kill -> nothing', () => {
    expect(scanLog(1, '')).toEqual([])
    const torn = `${event('warn', 'voter-unreachable').slice(0, 20)}\n`
    const text = `${event('info', 'serving')}\n${event('warn', 'not-a-voter')}\n${torn}${event('info', 'serving')}\n`
    expect(scanLog(1, text)).toEqual([])
  })

  it('JEP-4: an event of level error -> a problem, once for each event', () => {
    const text = `${event('info', 'serving')}\n${event('error', 'log-damaged')}\n${event('error', 'log-damaged')}\n${event('fatal', 'x')}\n`
    expect(scanLog(2, text)).toEqual([
      { node: 2, line: 2, text: event('error', 'log-damaged'), repeated: 1 },
      { node: 2, line: 4, text: event('fatal', 'x'), repeated: 0 },
    ])
  })

  it('JEP-4: what Node prints of an uncaught exception -> a problem', () => {
    const text = [
      event('info', 'serving'),
      'file:///app/dist/base/assert.js:9',
      '        throw new AssertionError(message);',
      'AssertionError: the high watermark went back',
      '    at assert (file:///app/dist/base/assert.js:9:15)',
      '}',
    ].join('\n')
    expect(scanLog(3, text).map(({ text: shown }) => shown)).toContain(
      'AssertionError: the high watermark went back',
    )
  })

  it('JEP-4: the last words of a node that ended itself -> a problem', () => {
    const text = 'vltava: fatal: the data directory /d failed\nError: fsync failed\n    at sync (x.js:1:1)\n'
    expect(scanLog(3, text)).toEqual([
      { node: 3, line: 1, text: 'vltava: fatal: the data directory /d failed', repeated: 0 },
      { node: 3, line: 2, text: 'Error: fsync failed', repeated: 0 },
    ])
  })

  it('a long line -> shortened', () => {
    const [problem] = scanLog(1, 'x'.repeat(10_000))
    expect(problem!.text.length).toBeLessThan(300)
  })
})
