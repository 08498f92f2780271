// Settings of the nodes of a test cluster: names of the configuration table, without those that the cluster itself sets.
import { customOption } from '../client/options.ts'
import { VltavaError } from '../model/errors.ts'
import { readConfig } from '../server/config.ts'
import { CONFIG_TABLE, type ConfigName } from '../server/config-table.ts'

const SET_BY_CLUSTER = [
  'node.id',
  'process.roles',
  'log.dir',
  'log.level',
  'listener.host',
  'listener.port',
  'advertised.url',
  'controller.quorum.voters',
  'cluster.secret',
  'cluster.secret.file',
] as const

export type TestSettingName = Exclude<ConfigName, (typeof SET_BY_CLUSTER)[number]>
/** Values by names of the configuration table, such as `{ 'broker.session.timeout.ms': 1_000 }`. */
export type TestSettings = { readonly [Name in TestSettingName]?: string | number | undefined }

/** Settings in an option table; `checkTestSettings` looks at them closer. */
export const settingsOption = customOption<TestSettings>({
  fallback: {},
  allowed: 'an object of settings by name',
  check: (value) => typeof value === 'object' && value !== null,
})

/**
 * @param what names the call in errors, such as `startCluster`.
 * @throws VltavaError INVALID_ARGUMENT for what is no setting, or one that the cluster sets; INVALID_CONFIG for a value,
 *   or values that do not go together.
 */
export function checkTestSettings(
  what: string,
  { given, defaults }: { readonly given: TestSettings; readonly defaults: TestSettings },
): TestSettings {
  const own: readonly string[] = SET_BY_CLUSTER
  for (const name of Object.keys(given)) {
    if (own.includes(name)) {
      throw new VltavaError('INVALID_ARGUMENT', `${what}: settings: the cluster sets "${name}" by itself.`)
    }
    if (!Object.hasOwn(CONFIG_TABLE, name)) {
      const names = Object.keys(CONFIG_TABLE).filter((known) => !own.includes(known))
      const detail = `${what}: settings: there is no setting "${name}"; there are ${names.join(', ')}.`
      throw new VltavaError('INVALID_ARGUMENT', detail)
    }
  }
  const settings = { ...defaults, ...given }
  readConfig({ flags: settings, environment: {}, file: null })
  return settings
}
