import { expect, it } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import { MemoryFileSystem } from '../../../src/storage/memory-file-system.ts'
import { ForeignFiles } from '../../../src/testing/simulation/foreign-files.ts'
import type { SimulatedNode } from '../../../src/testing/simulation/simulated-node.ts'
import { violationOf } from './invariants/fixtures.ts'

it('STO-24: a foreign file -> must stay as it is, unless the disk was replaced', async () => {
  const fileSystem = new MemoryFileSystem()
  const node = { id: 2, name: 'node-2', disk: { fileSystem } } as unknown as SimulatedNode
  const trace: string[] = []
  const foreign = new ForeignFiles({
    cluster: { nodes: [node] },
    random: seededRandom(1),
    onTrace: (line) => trace.push(line),
  })
  expect(foreign.add(node)).toBe(false)
  fileSystem.plant('/data/meta.json', Uint8Array.of(1))
  expect(foreign.add(node)).toBe(true)
  expect(foreign.add(node)).toBe(true)
  const paths = trace.map((line) => /^node-2 has a foreign file (\/data\/.*)$/.exec(line)![1]!)
  expect(new Set(paths).size).toBe(2)
  expect(violationOf(() => foreign.check())).toBe(null)

  const bytes = fileSystem.peek(paths[0]!)!.slice()
  fileSystem.plant(paths[0]!, Uint8Array.of(1))
  expect(violationOf(() => foreign.check())).toBe('STO-24')
  fileSystem.plant(paths[0]!, bytes)
  expect(violationOf(() => foreign.check())).toBe(null)

  await fileSystem.remove(paths[1]!)
  expect(violationOf(() => foreign.check())).toBe('STO-24')
  foreign.forget(2)
  expect(violationOf(() => foreign.check())).toBe(null)
})
