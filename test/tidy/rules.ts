import {
  browserReach,
  importCycles,
  importTable,
  knownFolders,
  packages,
  realAdapters,
} from './import-rules.ts'
import { abovePurityLine, belowPurityLine, codeFromText } from './purity-rules.ts'
import { declarations, fileLength, fileNames, functionLength, refusedTexts } from './shape-rules.ts'
import type { Rule } from './source-tree.ts'
import { moduleState } from './state-rules.ts'

/** Every rule under the name its findings bear. */
export const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['import-table', importTable],
  ['known-folders', knownFolders],
  ['packages', packages],
  ['real-adapters', realAdapters],
  ['import-cycles', importCycles],
  ['browser-reach', browserReach],
  ['below-purity-line', belowPurityLine],
  ['above-purity-line', abovePurityLine],
  ['code-from-text', codeFromText],
  ['module-state', moduleState],
  ['file-length', fileLength],
  ['function-length', functionLength],
  ['file-names', fileNames],
  ['declarations', declarations],
  ['refused-texts', refusedTexts],
])
