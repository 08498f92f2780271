// Runs the text scenarios. UPDATE_SCENARIOS=1 writes what they print into the files; review the difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Scenario } from './scenario-commands.ts'
import { parseScenario, writeScenario } from './scenario-file.ts'

const folder = new URL('../scenarios/raft/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'))
const update = process.env['UPDATE_SCENARIOS'] === '1'

describe('scenarios', () => {
  it.each(files)('%s', (name) => {
    const url = new URL(name, folder)
    const text = readFileSync(url, 'utf8')
    const blocks = parseScenario(text)
    const scenario = new Scenario()
    const outputs = blocks.map(({ commands }) => scenario.runBlock(commands))
    const actual = writeScenario(blocks, outputs)
    if (update) writeFileSync(url, actual)
    else expect(actual).toBe(text)
  })

  it('parser: a block without its separator -> refused with the line', () => {
    expect(() => parseScenario('cluster 1\n\nstatus\n----\nok\n')).toThrow('line 2: expected ----')
  })
})
