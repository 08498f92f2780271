// Changes the source of one module, and makes of it what the compiler would have made.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import type { Mutant } from './mutant.ts'
import { repositoryUrl } from './paths.ts'

/** The source of the module with the fault in it. @throws Error where the text is not there exactly once. */
export function mutatedSource({ id, edit }: Mutant): string {
  const { file, text, replacement } = edit
  const source = readFileSync(new URL(file, repositoryUrl), 'utf8')
  const parts = source.split(text)
  if (parts.length !== 2) {
    throw new Error(
      `Mutant ${id} does not fit the source any more: ${file} has ${parts.length - 1} times, instead of once, the text\n${text}`,
    )
  }
  return parts.join(replacement)
}

/** The module as JavaScript. @throws Error where the text is not there exactly once, or the result does not parse. */
export function mutatedModule(mutant: Mutant): string {
  const source = mutatedSource(mutant)
  const { outputText, diagnostics = [] } = ts.transpileModule(source, {
    fileName: mutant.edit.file,
    reportDiagnostics: true,
    compilerOptions: {
      ...compilerOptions(),
      // Without the package's type at hand, `nodenext` would make it CommonJS.
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      sourceMap: false,
      declaration: false,
      noEmit: false,
    },
  })
  if (diagnostics.length > 0) {
    const problems = diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    throw new Error(`Mutant ${mutant.id} does not compile: ${problems.join('; ')}`)
  }
  return outputText
}

/** Those of tsconfig.json. */
export function compilerOptions(): ts.CompilerOptions {
  const path = fileURLToPath(new URL('tsconfig.json', repositoryUrl))
  const { config } = ts.readConfigFile(path, (file) => ts.sys.readFile(file)) as { readonly config: unknown }
  const host = { ...ts.sys, readDirectory: () => [] }
  return ts.parseJsonConfigFileContent(config, host, fileURLToPath(repositoryUrl)).options
}
