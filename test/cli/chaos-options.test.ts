import { describe, expect, it } from 'vitest'
import {
  type GivenChaosOptions,
  parseChaosOptions,
  parseDuration,
  parseFaults,
} from '../../src/cli/chaos-options.ts'
import { FAULT_NAMES } from '../../src/cli/chaos-schedule.ts'
import { UsageError } from '../../src/cli/terminal.ts'

const GIVEN: GivenChaosOptions = {
  duration: '60s',
  interval: '3s',
  faults: 'all',
  brokers: '3',
  partitions: '4',
  producers: '3',
  consumers: '2',
  set: [],
}

describe('parseChaosOptions', () => {
  it('defaults -> values in milliseconds and numbers', () => {
    expect(parseChaosOptions(GIVEN)).toEqual({
      durationMs: 60_000,
      intervalMs: 3_000,
      faults: FAULT_NAMES,
      seed: null,
      brokers: 3,
      partitions: 4,
      producers: 3,
      consumers: 2,
      settings: {},
    })
  })

  it.each([
    [{ brokers: '0' }, '--brokers: must be an integer from 1 to 9, got "0"'],
    [{ brokers: 'three' }, '--brokers: must be an integer from 1 to 9, got "three"'],
    [{ partitions: '65' }, '--partitions: must be an integer from 1 to 64, got "65"'],
    [{ producers: '0' }, '--producers: must be an integer from 1 to 64, got "0"'],
    [{ consumers: '-1' }, '--consumers: must be an integer from 0 to 64, got "-1"'],
    [{ seed: '4294967296' }, '--seed: must be an integer from 0 to 4294967295, got "4294967296"'],
    [{ interval: '10ms' }, '--interval: must be a time such as 500ms, 60s, 2m or 1h, from 0.1 s to 3600 s'],
    [{ duration: '25h' }, '--duration: must be a time such as 500ms, 60s, 2m or 1h, from 1 s to 86400 s'],
    [{ set: ['node.id=3'] }, '--set: node.id is given to each node by the run itself'],
    [{ set: ['no.such=3'] }, '--set: unknown setting "no.such"'],
    [{ set: ['log.level'] }, '--set: must be name=value, got "log.level"'],
  ])('%j -> an error that says what is allowed', (given, message) => {
    const parse = (): unknown => parseChaosOptions({ ...GIVEN, ...given })
    expect(parse).toThrow(UsageError)
    expect(parse).toThrow(message)
  })

  it('--set -> settings of the nodes', () => {
    const { settings } = parseChaosOptions({ ...GIVEN, set: ['log.level=debug', 'log.tail.cache.bytes=0'] })
    expect(settings).toEqual({ 'log.level': 'debug', 'log.tail.cache.bytes': '0' })
  })
})

describe('parseDuration', () => {
  const rule = { option: '--duration', minMs: 1, maxMs: 10_000_000 }

  it.each([
    ['500ms', 500],
    ['60s', 60_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('%s -> %i', (text, ms) => {
    expect(parseDuration(text, rule)).toBe(ms)
  })

  it.each(['', '60', 's', '-1s', '1 s', '1d', '0s', '3h'])('%j -> an error', (text) => {
    expect(() => parseDuration(text, rule)).toThrow('--duration: must be a time such as 500ms')
  })
})

describe('parseFaults', () => {
  it('all -> every fault there is', () => {
    expect(parseFaults('all')).toEqual(FAULT_NAMES)
    expect(parseFaults('kill,all')).toEqual(FAULT_NAMES)
  })

  it('names with commas -> those, in the order of the table, each once', () => {
    expect(parseFaults('partition,kill, pause,kill')).toEqual(['kill', 'pause', 'partition'])
  })

  it.each(['meteor', 'kill,meteor', '', 'kill,,pause'])('%j -> an error that lists the names', (text) => {
    expect(() => parseFaults(text)).toThrow(UsageError)
    expect(() => parseFaults(text)).toThrow(
      'there are kill, kill-all, pause, pause-kill, partition, reset, slow, restart, and all',
    )
  })
})
