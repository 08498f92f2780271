// What the package promises to those who install it: entries, command, dependencies, and an installation that neither
// runs scripts nor depends on the registry it was resolved with.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BROWSER_ENTRY, packageNameOf } from './tidy/import-rules.ts'
import { PACKAGE_ENTRIES, PACKAGE_TABLE } from './tidy/layers.ts'
import { isRelative, loadsOf } from './tidy/module-loads.ts'
import { REPOSITORY_ROOT, readRealTree } from './tidy/real-tree.ts'

/** A target, or targets by condition; the first condition that holds wins. */
type Export = string | { readonly [condition: string]: Export }

interface Manifest {
  readonly name: string
  readonly version: string
  readonly type: string
  readonly bin: { readonly vltava: string }
  readonly exports: Readonly<Record<string, Export>>
  readonly files: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const DEPENDENCIES = ['commander', 'msgpackr', 'pino', 'prom-client', 'ws', 'yaml'] as const
const OPTIONAL_DEPENDENCIES = ['@node-rs/crc32', 'bufferutil'] as const

const readText = (path: string): string => readFileSync(join(REPOSITORY_ROOT, path), 'utf8')
const manifest = JSON.parse(readText('package.json')) as Manifest

/** Every target with the conditions that lead to it, such as `./client browser types`. */
function targetsOf(path: string, target: Export): readonly (readonly [path: string, target: string])[] {
  if (typeof target === 'string') return [[path, target]]
  return Object.entries(target).flatMap(([condition, inner]) => targetsOf(`${path} ${condition}`, inner))
}

/** The source that the compiler turns into this file of dist. */
function sourceOf(target: string): string {
  return target.replace(/^\.\/dist\//, 'src/').replace(/(?:\.d\.ts|\.js)$/, '.ts')
}

const modules = Object.entries(manifest.exports)
  .flatMap(([path, target]) => targetsOf(path, target))
  .filter(([path]) => path !== './package.json')

describe('package: exports', () => {
  it('the paths: exactly the agreed ones', () => {
    expect(Object.keys(manifest.exports)).toEqual([
      '.',
      './client',
      './server',
      './testing',
      './package.json',
    ])
    expect(manifest.exports['./package.json']).toBe('./package.json')
    expect(manifest.type).toBe('module')
  })

  it('the targets: each comes from an entry in src that exists', () => {
    for (const [path, target] of modules) {
      expect(target, path).toMatch(path.endsWith('types') ? /^\.\/dist\/.+\.d\.ts$/ : /^\.\/dist\/.+\.js$/)
      expect(PACKAGE_ENTRIES, path).toContain(sourceOf(target))
      expect(existsSync(join(REPOSITORY_ROOT, sourceOf(target))), `${path}: ${sourceOf(target)}`).toBe(true)
    }
  })

  it('the types: they stand before the code, for the same module', () => {
    // A resolver takes the first condition that holds, so types behind `default` are never seen.
    const byPath = new Map(modules)
    for (const [path, target] of modules) {
      if (!path.endsWith('default')) continue
      const types = path.replace(/default$/, 'types')
      expect(byPath.get(types), path).toBe(target.replace(/\.js$/, '.d.ts'))
      expect(
        modules.findIndex(([other]) => other === types),
        path,
      ).toBe(modules.findIndex(([other]) => other === path) - 1)
    }
  })

  it('the client: a browser gets the entry that the tidy test checks', () => {
    const client = manifest.exports['./client']
    expect(
      modules.filter(([path]) => path.startsWith('./client browser')).map(([, target]) => sourceOf(target)),
    ).toEqual([BROWSER_ENTRY, BROWSER_ENTRY])
    expect(Object.keys(client as object)[0]).toBe('browser')
  })
})

describe('package: the command', () => {
  it('the launcher: it exists, runs by itself and starts a module of src', () => {
    expect(Object.keys(manifest.bin)).toEqual(['vltava'])
    const launcher = manifest.bin.vltava
    const text = readText(launcher)
    expect(text.startsWith('#!/usr/bin/env node\n')).toBe(true)
    expect(statSync(join(REPOSITORY_ROOT, launcher)).mode & 0o111).toBe(0o111)
    const started = [...text.matchAll(/'\.\.(\/dist\/[^']+\.js)'/g)].map(([, path]) => sourceOf(`.${path}`))
    expect(started).toEqual(['src/cli/main.ts'])
    expect(existsSync(join(REPOSITORY_ROOT, started[0]!))).toBe(true)
  })

  it('the published files: they hold the command and the code', () => {
    expect(manifest.files).toEqual(expect.arrayContaining(['bin', 'dist']))
  })
})

describe('package: dependencies', () => {
  const bareImports = new Set<string>()
  for (const [path, module] of readRealTree().modules) {
    if (!path.startsWith('src/')) continue
    for (const { specifier } of loadsOf(module)) {
      if (specifier === null || isRelative(specifier) || specifier.startsWith('node:')) continue
      bareImports.add(packageNameOf(specifier))
    }
  }

  it('the list: exactly the agreed packages, each with a place in src', () => {
    expect(Object.keys(manifest.dependencies).sort()).toEqual(DEPENDENCIES)
    expect(Object.keys(manifest.optionalDependencies).sort()).toEqual(OPTIONAL_DEPENDENCIES)
    const withPlace = [...PACKAGE_TABLE.keys()].filter((name) => name !== 'node:')
    expect(withPlace.sort()).toEqual([...DEPENDENCIES, ...OPTIONAL_DEPENDENCIES].sort())
  })

  it('an import of src: its package is declared', () => {
    const declared: readonly string[] = [...DEPENDENCIES, ...OPTIONAL_DEPENDENCIES]
    expect([...bareImports].filter((name) => !declared.includes(name))).toEqual([])
  })

  it('a dependency: src imports it', () => {
    // Optional ones are loaded by others: bufferutil by ws.
    expect(DEPENDENCIES.filter((name) => !bareImports.has(name))).toEqual([])
  })
})

describe('package: installation', () => {
  it('.npmrc: no scripts of packages run, no registry is written down', () => {
    const lines = readText('.npmrc').split('\n')
    expect(lines).toContain('ignore-scripts=true')
    expect(lines).toContain('omit-lockfile-registry-resolved=true')
  })

  it('the lock file: it names no addresses and agrees with the manifest', () => {
    const text = readText('package-lock.json')
    expect(text).not.toMatch(/"resolved"\s*:/)
    const lock = JSON.parse(text) as { readonly packages: Readonly<Record<string, Partial<Manifest>>> }
    const root = lock.packages['']!
    expect([root.name, root.version]).toEqual([manifest.name, manifest.version])
    expect(root.dependencies).toEqual(manifest.dependencies)
    expect(root.optionalDependencies).toEqual(manifest.optionalDependencies)
    expect(root.devDependencies).toEqual(manifest.devDependencies)
  })

  it('package-lock.json: every optional package of every platform is in it, or npm ci refuses the whole file', () => {
    const lock = JSON.parse(readFileSync(join(REPOSITORY_ROOT, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<
        Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
      >
    }
    const missing = Object.values(lock.packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => lock.packages[`node_modules/${name}`] === undefined)
    expect(missing).toEqual([])
  })
})
