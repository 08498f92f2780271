import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { CONFIG_TABLE, type ConfigName, type ConfigRow } from './config-table.ts'

export type ConfigSource = Readonly<Record<string, string | number | boolean | null | undefined>>

export interface ConfigSources {
  /** From the command line; wins over everything. Keys are names of the table. */
  readonly flags: ConfigSource
  /** The process environment. */
  readonly environment: ConfigSource
  /** The content of the configuration file, with its path for messages. */
  readonly file: { readonly path: string; readonly values: ConfigSource } | null
}

export interface PeerAddress {
  readonly nodeId: NodeId
  readonly url: string
}

/** The checked settings of one node. */
export interface NodeConfig {
  readonly integers: Readonly<Record<IntegerName, number>>
  readonly texts: Readonly<Record<TextName, string | null>>
  /** The settings that the command line, the environment or the file names; the others have their defaults. */
  readonly named: ReadonlySet<ConfigName>
  readonly roles: { readonly broker: boolean; readonly controller: boolean }
  /** null: this node is a cluster of its own. */
  readonly peers: readonly PeerAddress[] | null
}

type NameOfType<Type extends ConfigRow['type']> = {
  [Name in ConfigName]: (typeof CONFIG_TABLE)[Name]['type'] extends Type ? Name : never
}[ConfigName]
export type IntegerName = NameOfType<'integer'>
export type TextName = NameOfType<'text'>

export function environmentNameOf(name: ConfigName): string {
  return `VLTAVA_${name.toUpperCase().replace(/[.-]/g, '_')}`
}

function invalid(source: string, problem: string): VltavaError {
  return new VltavaError('INVALID_CONFIG', `${source}: ${problem}`)
}

function checkInteger(row: Extract<ConfigRow, { type: 'integer' }>, value: unknown, source: string): number {
  const parsed =
    typeof value === 'number' ? value : /^-?\d+$/.test(String(value)) ? Number(value) : Number.NaN
  if (Number.isSafeInteger(parsed) && parsed >= row.min && parsed <= row.max) return parsed
  throw invalid(source, `must be an integer from ${row.min} to ${row.max}, got ${JSON.stringify(value)}`)
}

function checkText(row: Extract<ConfigRow, { type: 'text' }>, value: unknown, source: string): string {
  const text = String(value)
  if (row.pattern !== undefined && !row.pattern.regex.test(text)) {
    throw invalid(source, `must be ${row.pattern.meaning}, got ${JSON.stringify(text)}`)
  }
  return text
}

function sourcesOf(name: ConfigName, sources: ConfigSources): { value: unknown; source: string } | null {
  const environmentName = environmentNameOf(name)
  const candidates = [
    { value: sources.flags[name], source: name },
    { value: sources.environment[environmentName], source: `environment ${environmentName}` },
    { value: sources.file?.values[name], source: `${sources.file?.path ?? ''}, ${name}` },
  ]
  return candidates.find(({ value }) => value !== undefined && value !== null) ?? null
}

function checkFileNames(file: ConfigSources['file']): void {
  for (const name of Object.keys(file?.values ?? {})) {
    if (!Object.hasOwn(CONFIG_TABLE, name)) {
      const known = Object.keys(CONFIG_TABLE).join(', ')
      throw invalid(file!.path, `unknown setting ${JSON.stringify(name)}; the settings are ${known}`)
    }
  }
}

/** Parses `1@127.0.0.1:7101,2@...`. */
export function parsePeers(text: string): readonly PeerAddress[] {
  const peers = text.split(',').map((part) => {
    const [id, address] = part.split('@') as [string, string]
    return { nodeId: Number(id), url: `ws://${address}` }
  })
  const ids = new Set(peers.map(({ nodeId }) => nodeId))
  if (ids.size < peers.length) {
    throw invalid('controller.quorum.voters', `names a node id twice in ${JSON.stringify(text)}`)
  }
  return peers
}

/**
 * Reads all settings from their sources: the command line wins over the environment, the environment over the file,
 * the file over the defaults of the table.
 * @throws VltavaError INVALID_CONFIG naming the source, the setting, the value and what is allowed.
 */
export function readConfig(sources: ConfigSources): NodeConfig {
  checkFileNames(sources.file)
  const integers: Record<string, number> = {}
  const texts: Record<string, string | null> = {}
  const named = new Set<ConfigName>()
  for (const [name, row] of Object.entries(CONFIG_TABLE) as [ConfigName, ConfigRow][]) {
    const found = sourcesOf(name, sources)
    if (found !== null) named.add(name)
    if (row.type === 'integer') {
      integers[name] = found === null ? row.fallback : checkInteger(row, found.value, found.source)
    } else {
      texts[name] = found === null ? row.fallback : checkText(row, found.value, found.source)
    }
  }
  return checkRelations({
    integers: integers as NodeConfig['integers'],
    texts: texts as NodeConfig['texts'],
    named,
  })
}

function checkRelations(read: Pick<NodeConfig, 'integers' | 'texts' | 'named'>): NodeConfig {
  const { integers, texts } = read
  const roles = (texts['process.roles'] ?? '').split(',')
  const config: NodeConfig = {
    ...read,
    roles: { broker: roles.includes('broker'), controller: roles.includes('controller') },
    peers: texts['controller.quorum.voters'] === null ? null : parsePeers(texts['controller.quorum.voters']),
  }
  const nodeId = integers['node.id']
  const isVoter = config.peers === null || config.peers.some((peer) => peer.nodeId === nodeId)
  if (config.roles.controller && !isVoter) {
    throw invalid(
      'controller.quorum.voters',
      `does not name this node (${nodeId}), which has the role controller`,
    )
  }
  if (!config.roles.controller && config.peers === null) {
    throw invalid(
      'process.roles',
      'a node without the role controller needs controller.quorum.voters (--peers)',
    )
  }
  if (!config.roles.controller && isVoter) {
    throw invalid(
      'controller.quorum.voters',
      `names this node (${nodeId}), which has not the role controller`,
    )
  }
  if (integers['broker.heartbeat.interval.ms'] * 2 > integers['broker.session.timeout.ms']) {
    throw invalid(
      'broker.session.timeout.ms',
      `must be at least twice broker.heartbeat.interval.ms (${integers['broker.heartbeat.interval.ms']}), got ${integers['broker.session.timeout.ms']}`,
    )
  }
  if (
    integers['controller.quorum.heartbeat.interval.ms'] * 2 >
    integers['controller.quorum.election.timeout.ms']
  ) {
    throw invalid(
      'controller.quorum.election.timeout.ms',
      `must be at least twice controller.quorum.heartbeat.interval.ms (${integers['controller.quorum.heartbeat.interval.ms']}), got ${integers['controller.quorum.election.timeout.ms']}`,
    )
  }
  if (integers['log.disk.usage.warn.percent'] > integers['log.disk.usage.max.percent']) {
    throw invalid(
      'log.disk.usage.warn.percent',
      `must not be above log.disk.usage.max.percent (${integers['log.disk.usage.max.percent']}), got ${integers['log.disk.usage.warn.percent']}`,
    )
  }
  return config
}
