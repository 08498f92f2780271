import { readFile } from 'node:fs/promises'
import { VltavaError } from '../model/errors.ts'
import type { ConfigSources } from './config.ts'

/**
 * Reads a configuration file: YAML, of which JSON is a part; names of the configuration table and their values.
 * @throws VltavaError INVALID_CONFIG naming the file and what is wrong with it.
 */
export async function readConfigFile(path: string): Promise<NonNullable<ConfigSources['file']>> {
  const invalid = (problem: string, cause?: unknown): VltavaError =>
    new VltavaError('INVALID_CONFIG', `${path}: ${problem}`, { cause })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw invalid(`cannot be read: ${(cause as Error).message}`, cause)
  }
  // Loaded only here: most nodes have no file, and the parser costs 38 ms of their start.
  const { parse } = await import('yaml')
  let values: unknown
  try {
    values = parse(text)
  } catch (cause) {
    throw invalid(`is not valid YAML: ${(cause as Error).message}`, cause)
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw invalid('must hold names and values, such as "node.id: 1"')
  }
  for (const [name, value] of Object.entries(values)) {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw invalid(`${name} must be text or a number`)
  }
  return { path, values: values as Readonly<Record<string, string | number | boolean>> }
}
