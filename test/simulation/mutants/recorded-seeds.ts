// The seeds that are known to kill each mutant: killing-seeds.json beside this file.
import { readFileSync, writeFileSync } from 'node:fs'
import { repositoryUrl } from './paths.ts'

/** More would only make CI longer. */
export const RECORDED_MAX = 3

export interface RecordedKill {
  /** At most three, each enough by itself. */
  readonly seeds: readonly number[]
  /** How many seeds it took, counted from 1, until the first of them. */
  readonly needed: number
  /** What noticed. */
  readonly noticedBy: string
}

export type RecordedSeeds = Readonly<Record<string, RecordedKill>>

const url = new URL('test/simulation/mutants/killing-seeds.json', repositoryUrl)

export function readRecordedSeeds(): RecordedSeeds {
  return JSON.parse(readFileSync(url, 'utf8')) as RecordedSeeds
}

export function writeRecordedSeeds(recorded: RecordedSeeds): void {
  const lines = Object.entries(recorded).map(([id, kill]) => `  ${JSON.stringify(id)}: ${compact(kill)}`)
  writeFileSync(url, `{\n${lines.join(',\n')}\n}\n`)
}

/** As the formatter of the repository has it. */
function compact({ seeds, needed, noticedBy }: RecordedKill): string {
  return `{ "seeds": [${seeds.join(', ')}], "needed": ${needed}, "noticedBy": ${JSON.stringify(noticedBy)} }`
}
