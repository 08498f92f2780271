import { describe, expect, it } from 'vitest'
import {
  checkTopicConfigs,
  effectiveMinInsyncReplicas,
  TOPIC_SETTINGS,
  type TopicSetting,
  topicConfigOf,
} from '../../src/metadata/topic-configs.ts'

describe('topic settings', () => {
  it('defaults', () => {
    expect(topicConfigOf(new Map())).toEqual({
      minInsyncReplicas: 2,
      uncleanLeaderElection: false,
      maxMessageBytes: 1_048_588,
      cleanupDeletes: true,
      cleanupCompacts: false,
      retentionMs: 604_800_000,
      retentionBytes: null,
      segmentBytes: 1_073_741_824,
      segmentMs: 604_800_000,
      indexIntervalBytes: 4_096,
      fileDeleteDelayMs: 60_000,
      flushMessages: 1,
      flushMs: Number.MAX_SAFE_INTEGER,
      minCleanableDirtyRatio: 0.5,
      minCompactionLagMs: 0,
      maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
      deleteRetentionMs: 86_400_000,
    })
  })

  it('every bound is allowed, what lies beyond it is not', () => {
    for (const [name, setting] of Object.entries(TOPIC_SETTINGS) as [string, TopicSetting][]) {
      const allowed =
        setting.type === 'integer'
          ? [setting.min, setting.max]
          : setting.type === 'ratio'
            ? [0, 1]
            : setting.values
      for (const value of [...allowed, setting.default]) {
        expect(checkTopicConfigs([{ name, value: `${value}` }])).toEqual(new Map([[name, `${value}`]]))
      }
      const refused =
        setting.type === 'integer'
          ? [setting.min - 1, setting.max + 1]
          : setting.type === 'ratio'
            ? [-1, 1.1]
            : ['']
      for (const value of refused) {
        expect(() => checkTopicConfigs([{ name, value: `${value}` }])).toThrow(
          expect.objectContaining({ code: 'INVALID_CONFIG' }),
        )
      }
    }
  })

  it('cleanup.policy: its parts may come in any order', () => {
    const checked = checkTopicConfigs([{ name: 'cleanup.policy', value: 'delete, compact' }])
    expect(topicConfigOf(checked)).toMatchObject({ cleanupDeletes: true, cleanupCompacts: true })
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
      'cleanup.policy',
      'keep',
      'cleanup.policy must be one of "delete", "compact", "compact,delete", got "keep".',
    ],
    [
      'min.cleanable.dirty.ratio',
      '1.5',
      'min.cleanable.dirty.ratio must be a number from 0 to 1, got "1.5".',
    ],
    [
      'max.message.bytes',
      '2048.5',
      'max.message.bytes must be a whole number of bytes from 1024 to 8388608, got "2048.5".',
    ],
    [
      'retention.hours',
      '1',
      `Unknown topic setting "retention.hours". Known are ${Object.keys(TOPIC_SETTINGS).join(', ')}.`,
    ],
    [
      'toString',
      '1',
      `Unknown topic setting "toString". Known are ${Object.keys(TOPIC_SETTINGS).join(', ')}.`,
    ],
  ])('%s=%j is refused with its name, value and range', (name, value, message) => {
    expect(() => checkTopicConfigs([{ name, value }])).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message }),
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
