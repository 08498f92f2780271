// The import table of the design: which folder of src may import which. Everything else in test/tidy reads it here.

const WORDS = ['base', 'schema', 'model'] as const
const LANGUAGE = ['protocol', 'record'] as const
const CORES = ['log', 'raft', 'replication', 'metadata', 'groups', 'history'] as const
const ADAPTERS = ['storage', 'net', 'platform'] as const
const SHELLS = ['broker', 'controller', 'client'] as const
const BELOW_SHELLS = [...WORDS, ...LANGUAGE, ...CORES, ...ADAPTERS] as const

/** A folder may always import itself. `index` is src/index.ts. */
export const IMPORT_TABLE: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['base', []],
  ['base/async', ['base']],
  ['schema', ['base']],
  ['model', ['base', 'schema']],
  ['record', ['base', 'model']],
  ['protocol', ['base', 'schema', 'model']],
  ['log', ['base', 'model', 'record']],
  ['raft', ['base', 'schema']],
  ['replication', ['base', 'model', 'log']],
  ['metadata', ['base', 'schema', 'model']],
  ['groups', ['base', 'schema', 'model']],
  ['history', ['base', 'model']],
  // The purity line: from here on, base/async may be imported as well.
  ['storage', ['base', 'base/async', 'model', 'record', 'log']],
  ['net', ['base', 'base/async', 'schema', 'model', 'protocol']],
  ['platform', ['base', 'base/async']],
  ['client', ['base', 'base/async', 'schema', 'model', 'record', 'protocol', 'net', 'platform']],
  ['broker', ['base/async', ...BELOW_SHELLS]],
  ['controller', ['base/async', ...BELOW_SHELLS]],
  ['server', ['base/async', ...BELOW_SHELLS, ...SHELLS]],
  ['testing', ['base/async', ...BELOW_SHELLS, ...SHELLS, 'server']],
  [
    'cli',
    [
      'base',
      'base/async',
      'model',
      'server',
      'client',
      'history',
      'record',
      'metadata',
      'storage',
      'testing',
    ],
  ],
  ['index', ['client', 'model', 'record']],
])

/** Cells of the table that hold for some files or for types only. */
export const NARROWER_IMPORTS: readonly {
  readonly from: string
  readonly to: string
  /** Which files of `from` may; all of them when absent. */
  readonly files?: RegExp
  readonly typesOnly?: true
  readonly reason: string
}[] = [
  {
    from: 'cli',
    to: 'testing',
    files: /^src\/cli\/chaos[^/]*\.ts$/,
    reason: 'only the chaos command drives testing',
  },
  {
    from: 'index',
    to: 'record',
    typesOnly: true,
    reason: 'the main entry re-exports the types of records, not their code',
  },
]

const BELOW_PURITY_LINE: ReadonlySet<string> = new Set([...WORDS, ...LANGUAGE, ...CORES])

/** Whether code of this file must be a function of its arguments. `base/async` is a row of its own, above the line. */
export function isBelowPurityLine(path: string): boolean {
  return path.startsWith('src/') && BELOW_PURITY_LINE.has(folderOf(path))
}

/** Which files may load a package. Everything that is not listed is refused. `node:` stands for all built-in modules. */
export const PACKAGE_TABLE: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'node:',
    [
      'src/platform/node/',
      'src/storage/node-file-system.ts',
      'src/net/node/',
      'src/server/',
      'src/cli/',
      'src/client/node.ts',
    ],
  ],
  ['msgpackr', ['src/protocol/codec.ts']],
  ['ws', ['src/net/node/']],
  ['pino', ['src/server/']],
  ['prom-client', ['src/server/metrics/']],
  ['yaml', ['src/server/']],
  ['commander', ['src/cli/']],
  ['@node-rs/crc32', ['src/platform/node/']],
  ['bufferutil', ['src/platform/node/']],
])

/** Code that touches the machine; only what wires a process together may import it. */
export const REAL_ADAPTERS: readonly string[] = [
  'src/platform/node/',
  'src/platform/web/',
  'src/net/node/',
  'src/net/web/',
  'src/storage/node-file-system.ts',
]

export const COMPOSITION_ROOTS: readonly string[] = [
  'src/server/',
  'src/cli/',
  'src/testing/',
  'src/client/node.ts',
  'src/client/browser.ts',
  'src/index.ts',
]

/** Files from which a package user imports; the only ones that may do nothing but re-export. */
export const PACKAGE_ENTRIES: readonly string[] = [
  'src/index.ts',
  'src/client/node.ts',
  'src/client/browser.ts',
  'src/server/index.ts',
  'src/testing/index.ts',
]

/** The row of the import table a file of src belongs to; a folder without a row is named as it is. */
export function folderOf(path: string): string {
  if (path === 'src/index.ts') return 'index'
  if (path.startsWith('src/base/async/')) return 'base/async'
  return path.slice('src/'.length).split('/', 1)[0]!
}

/** Whether a path is one of the files, or inside one of the folders, that end in '/'. */
export function isAmong(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))
}
