import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'

describe('RecordingLog', () => {
  it('events of all levels, also of children -> one list in order, with all fields', () => {
    const log = new RecordingLog()
    const child = log.child({ node: 1, part: 'raft' })
    log.info('started')
    child.warn('vote-refused', { term: 3 })
    child.child({ part: 'log' }).error('flush-failed')
    log.debug('tick', { node: 9 })
    expect(log.events).toEqual([
      { level: 'info', event: 'started', fields: {} },
      { level: 'warn', event: 'vote-refused', fields: { node: 1, part: 'raft', term: 3 } },
      { level: 'error', event: 'flush-failed', fields: { node: 1, part: 'log' } },
      { level: 'debug', event: 'tick', fields: { node: 9 } },
    ])
    expect(child.events).toBe(log.events)
  })

  it('named -> the events of that name only', () => {
    const log = new RecordingLog()
    log.info('a', { i: 1 })
    log.info('b')
    log.warn('a', { i: 2 })
    expect(log.named('a').map(({ fields }) => fields['i'])).toEqual([1, 2])
    expect(log.named('c')).toEqual([])
  })
})

describe('silentLog', () => {
  it('any call, children too -> nothing happens', () => {
    const child = silentLog.child({ a: 1 })
    for (const level of ['debug', 'info', 'warn', 'error'] as const) child[level]('event', { b: 2 })
    expect(child).toBe(silentLog)
  })
})
