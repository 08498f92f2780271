import { describe, expect, it } from 'vitest'
import { DYNAMIC_SETTINGS, type DynamicSettingName } from '../../src/metadata/broker-settings.ts'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { decideAlterBrokerConfigs } from '../../src/metadata/decide-alter-broker-configs.ts'
import type { ConfigChange } from '../../src/metadata/decide-alter-configs.ts'
import { DynamicSettings } from '../../src/metadata/dynamic-settings.ts'
import { imageOfRecords, recordsOfImage } from '../../src/metadata/image-snapshot.ts'
import { snapshotRecordSchema } from '../../src/metadata/snapshot-records.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { clusterOf, contextOf, decided } from './cluster-fixture.ts'

const isStaticSetting = (name: string): boolean => name === 'log.dir'

function altering(image: ClusterImage, name: string, changes: readonly ConfigChange[], validateOnly = false) {
  return decideAlterBrokerConfigs({ ...contextOf(image), isStaticSetting }, { name, changes, validateOnly })
}

function altered(image: ClusterImage, name: string, settings: Readonly<Record<string, string | null>>) {
  const changes = Object.entries(settings).map(([key, value]) => ({ name: key, value }))
  return decided(image, altering(image, name, changes))
}

const set = (image: ClusterImage) =>
  [...image.brokerConfigs].map(([id, configs]) => [id, Object.fromEntries(configs)])

const image = clusterOf([1, 2, 3])

describe('alter configs of brokers', () => {
  it('set and delete, for one broker and for all -> what is named changes, the rest stays', () => {
    let after = altered(image, '2', { 'replica.lag.time.max.ms': '1000', 'log.cleaner.backoff.ms': '007' })
    after = altered(after, '', { 'replica.lag.time.max.ms': '2000' })
    expect(set(after)).toEqual([
      [2, { 'replica.lag.time.max.ms': '1000', 'log.cleaner.backoff.ms': '7' }],
      [null, { 'replica.lag.time.max.ms': '2000' }],
    ])
    after = altered(after, '2', { 'log.cleaner.backoff.ms': null })
    expect(set(after)[0]).toEqual([2, { 'replica.lag.time.max.ms': '1000' }])
    after = altered(after, '2', { 'replica.lag.time.max.ms': null })
    expect(set(after)).toEqual([[null, { 'replica.lag.time.max.ms': '2000' }]])
    expect(set(image)).toEqual([])
  })

  it('the cause names whose setting it is, with its old and new value', () => {
    const before = altered(image, '', { 'log.cleaner.backoff.ms': '5' })
    const { records } = altering(before, '', [{ name: 'log.cleaner.backoff.ms', value: '6' }])
    const detail = 'an operator changed for all brokers: log.cleaner.backoff.ms from 5 to 6'
    expect(records).toMatchObject([
      { type: 'broker-configs-changed', brokerId: null, cause: { kind: 'configs-changed', detail } },
    ])
  })

  it('the value that is set already, or only a check -> no record', () => {
    const before = altered(image, '1', { 'log.cleaner.backoff.ms': '5' })
    expect(altering(before, '1', [{ name: 'log.cleaner.backoff.ms', value: '5' }]).records).toEqual([])
    expect(altering(before, '1', [{ name: 'log.cleaner.backoff.ms', value: '6' }], true).records).toEqual([])
  })

  it.each([
    ['1', 'no.such', '1', 'INVALID_CONFIG', /Unknown setting of a node "no.such".*replica.lag.time.max.ms/],
    ['1', 'log.dir', '/x', 'INVALID_CONFIG', /log.dir needs a restart: set it in the configuration file/],
    [
      '',
      'replica.lag.time.max.ms',
      '99',
      'INVALID_CONFIG',
      /replica.lag.time.max.ms must be a whole number of ms from 100 to 86400000, got "99"/,
    ],
    ['', 'replica.lag.time.max.ms', '1e3', 'INVALID_CONFIG', /got "1e3"/],
    ['', 'replica.lag.time.max.ms', '', 'INVALID_CONFIG', /got ""/],
    [
      '9',
      'log.cleaner.backoff.ms',
      '5',
      'INVALID_REQUEST',
      /Broker 9 is not known. Known brokers: \[1, 2, 3\]/,
    ],
    ['one', 'log.cleaner.backoff.ms', '5', 'INVALID_REQUEST', /named by its id.*got "one"/],
  ])('broker %j, %s = %j -> refused with what is allowed', (name, setting, value, code, message) => {
    const alter = (): unknown => altering(image, name, [{ name: setting, value }])
    expect(alter).toThrow(VltavaError)
    expect(alter).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
  })

  it('nothing, or a setting twice -> refused', () => {
    expect(() => altering(image, '1', [])).toThrow(/Name at least one setting/)
    const one = { name: 'log.cleaner.backoff.ms', value: '5' }
    expect(() => altering(image, '1', [one, { ...one, value: null }])).toThrow(/changed twice/)
  })

  it('a snapshot -> holds what is set', () => {
    let after = altered(image, '2', { 'log.cleaner.backoff.ms': '5' })
    after = altered(after, '', { 'replica.lag.time.max.ms': '2000' })
    const wire = [...recordsOfImage(after)].map((record) => snapshotRecordSchema.encode(record))
    const back = imageOfRecords(wire.map((record) => snapshotRecordSchema.decode(record, 'snapshot')))
    expect(back).toEqual(after)
  })
})

describe('DynamicSettings', () => {
  const given = Object.fromEntries(
    Object.entries(DYNAMIC_SETTINGS).map(([name, { fallback }]) => [name, fallback]),
  ) as Record<DynamicSettingName, number>
  const lag = 'replica.lag.time.max.ms'
  const of = (...configs: readonly [number | null, Readonly<Record<string, string>>][]) => ({
    brokerConfigs: new Map(configs.map(([id, values]) => [id, new Map(Object.entries(values))])),
  })

  it('of this broker, of all, as started -> the first one that is set counts', () => {
    const settings = new DynamicSettings({ nodeId: 1, given: { ...given, [lag]: 7_000 } })
    expect(settings.get(lag)).toEqual({ value: 7_000, source: 'node' })
    const all = { [lag]: '8000' }
    expect(settings.follow(of([null, all])).changed).toEqual([{ name: lag, from: 7_000, to: 8_000 }])
    expect(settings.get(lag)).toEqual({ value: 8_000, source: 'all-brokers' })
    const own = { [lag]: '9000' }
    expect(settings.follow(of([1, own], [null, all], [2, { [lag]: '500' }])).changed).toEqual([
      { name: lag, from: 8_000, to: 9_000 },
    ])
    expect(settings.get(lag)).toEqual({ value: 9_000, source: 'broker' })
    expect(settings.follow(of()).changed).toEqual([{ name: lag, from: 9_000, to: 7_000 }])
    expect(settings.value(lag)).toBe(7_000)
  })

  it('a name or a value of a newer version -> it is told of, and counts as not set', () => {
    const settings = new DynamicSettings({ nodeId: 1, given })
    const followed = settings.follow(of([null, { [lag]: '8000' }], [1, { [lag]: '1', 'new.name': 'x' }]))
    expect(followed.ignored).toEqual([
      { name: lag, value: '1', allowed: 'a whole number of ms from 100 to 86400000' },
      { name: 'new.name', value: 'x', allowed: 'no setting that can be changed while a node runs' },
    ])
    expect(settings.get(lag)).toEqual({ value: 8_000, source: 'all-brokers' })
  })

  it('the same image again -> nothing has changed', () => {
    const settings = new DynamicSettings({ nodeId: 1, given })
    const image = of([null, { [lag]: '8000' }])
    settings.follow(image)
    expect(settings.follow(image)).toEqual({ changed: [], ignored: [] })
  })
})
