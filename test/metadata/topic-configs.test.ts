import { describe, expect, it } from 'vitest'
import {
  checkTopicConfigs,
  effectiveMinInsyncReplicas,
  TOPIC_SETTINGS,
  topicConfigOf,
} from '../../src/metadata/topic-configs.ts'

describe('topic settings', () => {
  it('defaults', () => {
    expect(topicConfigOf(new Map())).toEqual({
      minInsyncReplicas: 2,
      maxMessageBytes: 1_048_588,
      segmentBytes: 1_073_741_824,
      indexIntervalBytes: 4_096,
    })
  })

  it('every bound is allowed, what lies beyond it is not', () => {
    for (const [name, { min, max, default: standard }] of Object.entries(TOPIC_SETTINGS)) {
      for (const value of [min, max, standard]) {
        expect(checkTopicConfigs([{ name, value: `${value}` }])).toEqual(new Map([[name, `${value}`]]))
      }
      for (const value of [min - 1, max + 1]) {
        expect(() => checkTopicConfigs([{ name, value: `${value}` }])).toThrow(
          expect.objectContaining({ code: 'INVALID_CONFIG' }),
        )
      }
    }
  })

  it.each([
    [
      'min.insync.replicas',
      '0',
      'min.insync.replicas must be a whole number of replicas from 1 to 64, got "0".',
    ],
    [
      'segment.bytes',
      '1GiB',
      'segment.bytes must be a whole number of bytes from 16384 to 2147483647, got "1GiB".',
    ],
    ['segment.bytes', '', 'segment.bytes must be a whole number of bytes from 16384 to 2147483647, got "".'],
    [
      'max.message.bytes',
      '2048.5',
      'max.message.bytes must be a whole number of bytes from 1024 to 8388608, got "2048.5".',
    ],
    [
      'retention.ms',
      '1',
      'Unknown topic setting "retention.ms". Known are min.insync.replicas, max.message.bytes, segment.bytes, index.interval.bytes.',
    ],
    [
      'toString',
      '1',
      'Unknown topic setting "toString". Known are min.insync.replicas, max.message.bytes, segment.bytes, index.interval.bytes.',
    ],
  ])('%s=%j is refused with its name, value and range', (name, value, message) => {
    expect(() => checkTopicConfigs([{ name, value }])).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message }),
    )
  })

  it('flush.messages is refused with what holds instead', () => {
    expect(() => checkTopicConfigs([{ name: 'flush.messages', value: '1' }])).toThrow(
      /fsynced .* before it is acknowledged.*not offered yet/,
    )
  })

  it('a setting given twice is refused', () => {
    const twice = { name: 'segment.bytes', value: '65536' }
    expect(() => checkTopicConfigs([twice, twice])).toThrow(/segment.bytes is set twice/)
  })

  it.each([
    ['1', 3, 1],
    ['2', 3, 2],
    ['3', 2, 2],
    ['64', 1, 1],
  ])('min.insync.replicas %s with %i replicas -> %i', (value, replicas, effective) => {
    const config = topicConfigOf(new Map([['min.insync.replicas', value]]))
    expect(effectiveMinInsyncReplicas(config, replicas)).toBe(effective)
  })
})
