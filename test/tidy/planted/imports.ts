import type { Planted } from './planted.ts'

const VALUE = 'export const value = 1'

/** A file that imports a value from another folder, and that other file. */
function importing(path: string, specifier: string, target: string): Record<string, string> {
  return { [path]: `import { value } from '${specifier}'\nexport const copy = value`, [target]: VALUE }
}

export const PLANTED_IMPORTS: readonly Planted[] = [
  {
    rule: 'import-table',
    name: 'a core imports a folder of its row -> allowed',
    files: importing('src/log/a.ts', '../record/b.ts', 'src/record/b.ts'),
    findings: [],
  },
  {
    rule: 'import-table',
    name: 'a core imports a shell -> refused',
    files: importing('src/replication/a.ts', '../broker/b.ts', 'src/broker/b.ts'),
    findings: ['src/replication/a.ts:1 import-table: replication may import base, model, log; not broker'],
  },
  {
    rule: 'import-table',
    name: 'base imports anything -> refused',
    files: importing('src/base/a.ts', '../model/b.ts', 'src/model/b.ts'),
    findings: ['src/base/a.ts:1 import-table: base may import nothing; not model'],
  },
  {
    rule: 'import-table',
    name: 'raft imports topics -> refused',
    files: importing('src/raft/a.ts', '../model/b.ts', 'src/model/b.ts'),
    findings: ['src/raft/a.ts:1 import-table: raft may import base, schema; not model'],
  },
  {
    rule: 'import-table',
    name: 'one shell imports its sibling -> refused',
    files: {
      ...importing('src/broker/a.ts', '../controller/b.ts', 'src/controller/b.ts'),
      'src/controller/c.ts': "import { x } from '../client/d.ts'",
      'src/client/d.ts': 'export const x = 1',
      'src/client/e.ts': "import { copy } from '../broker/a.ts'",
    },
    findings: [
      'src/broker/a.ts:1 import-table: broker may import base/async, base, schema, model, protocol, record, log, raft, replication, metadata, groups, history, storage, net, platform; not controller',
      'src/controller/c.ts:1 import-table: controller may import base/async, base, schema, model, protocol, record, log, raft, replication, metadata, groups, history, storage, net, platform; not client',
      'src/client/e.ts:1 import-table: client may import base, base/async, schema, model, record, protocol, net, platform; not broker',
    ],
  },
  {
    rule: 'import-table',
    name: 'a core or base itself imports base/async -> refused; an adapter does -> allowed',
    files: {
      ...importing('src/storage/a.ts', '../base/async/b.ts', 'src/base/async/b.ts'),
      'src/history/c.ts': "import { value } from '../base/async/b.ts'",
      'src/base/d.ts': "import { value } from './async/b.ts'",
    },
    findings: [
      'src/history/c.ts:1 import-table: history may import base, model; not base/async',
      'src/base/d.ts:1 import-table: base may import nothing; not base/async',
    ],
  },
  {
    rule: 'import-table',
    name: 'every form of import -> seen',
    files: {
      'src/client/b.ts': 'export type T = number\nexport const value = 1',
      'src/log/import.ts': "\nimport { value } from '../client/b.ts'",
      'src/log/side-effect.ts': "import '../client/b.ts'",
      'src/log/type.ts': "import type { T } from '../client/b.ts'",
      'src/log/inline-type.ts': "import { type T } from '../client/b.ts'",
      'src/log/import-type.ts': "export type Copy = import('../client/b.ts').T",
      'src/log/typeof.ts': "export type Copy = typeof import('../client/b.ts')",
      'src/log/export.ts': "export { value } from '../client/b.ts'",
      'src/log/export-all.ts': "export * from '../client/b.ts'",
      'src/log/export-type.ts': "export type { T } from '../client/b.ts'",
      'src/log/dynamic.ts': "export const load = () => import('../client/b.ts')",
      'src/log/template.ts': 'export const load = () => import(`../client/b.ts`)',
      'src/log/equals.ts': "import b = require('../client/b.ts')",
      'src/log/require.ts': "const b = require('../client/b.ts')",
      'src/log/resolve.ts': "const b = require.resolve('../client/b.ts')",
      'src/log/create-require.ts': "const load = createRequire(import.meta.url)\nload('../client/b.ts')",
      'src/log/at-once.ts': "createRequire(import.meta.url)('../client/b.ts')",
      'src/log/reference.ts': '/// <reference path="../client/b.ts" />',
    },
    findings: [
      ['import', 2],
      ['side-effect', 1],
      ['type', 1],
      ['inline-type', 1],
      ['import-type', 1],
      ['typeof', 1],
      ['export', 1],
      ['export-all', 1],
      ['export-type', 1],
      ['dynamic', 1],
      ['template', 1],
      ['equals', 1],
      ['require', 1],
      ['resolve', 1],
      ['create-require', 2],
      ['at-once', 1],
      ['reference', 1],
    ].map(
      ([name, line]) =>
        `src/log/${name}.ts:${line} import-table: log may import base, model, record; not client`,
    ),
  },
  {
    rule: 'import-table',
    name: 'an import of what is not there, or not in src -> refused',
    files: {
      'src/log/a.ts': "import '../base/gone.ts'",
      'src/log/b.ts': "import '../../test/helper.ts'",
      'src/log/c.ts': "import '../base/d'",
      'src/base/d.ts': VALUE,
      'test/helper.ts': VALUE,
    },
    findings: [
      "src/log/a.ts:1 import-table: '../base/gone.ts' is no TypeScript file of src",
      "src/log/b.ts:1 import-table: '../../test/helper.ts' lies outside of src",
      "src/log/c.ts:1 import-table: '../base/d' is no TypeScript file of src",
    ],
  },
  {
    rule: 'import-table',
    name: 'package.json is read by the server and the commands only',
    files: {
      'src/cli/a.ts': "createRequire(import.meta.url)('../../package.json')",
      'src/client/b.ts': "createRequire(import.meta.url)('../../package.json')",
    },
    findings: ["src/client/b.ts:1 import-table: '../../package.json' lies outside of src"],
  },
  {
    rule: 'import-table',
    name: 'the commands import testing -> only the chaos command may',
    files: {
      ...importing('src/cli/chaos.ts', '../testing/b.ts', 'src/testing/b.ts'),
      'src/cli/topics.ts': "import { value } from '../testing/b.ts'",
      'src/server/c.ts': "import { value } from '../testing/b.ts'",
    },
    findings: [
      'src/cli/topics.ts:1 import-table: cli may not import testing here: only the chaos command drives testing',
      'src/server/c.ts:1 import-table: server may import base/async, base, schema, model, protocol, record, log, raft, replication, metadata, groups, history, storage, net, platform, broker, controller, client; not testing',
    ],
  },
  {
    rule: 'import-table',
    name: 'the main entry re-exports records -> types only',
    files: {
      'src/index.ts':
        "export type { T } from './record/b.ts'\nexport { value } from './record/b.ts'\nexport * from './client/c.ts'",
      'src/record/b.ts': 'export type T = number\nexport const value = 1',
      'src/client/c.ts': 'export const other = 1',
    },
    findings: [
      'src/index.ts:2 import-table: index may not import record here: the main entry re-exports the types of records, not their code',
    ],
  },
  {
    rule: 'known-folders',
    name: 'a new folder or a file beside the entry -> refused',
    files: {
      'src/index.ts': VALUE,
      'src/net/node/a.ts': VALUE,
      'src/utils/b.ts': VALUE,
      'src/helpers.ts': VALUE,
    },
    findings: [
      "src/utils/b.ts:1 known-folders: 'utils' has no row in the import table (test/tidy/layers.ts)",
      "src/helpers.ts:1 known-folders: 'helpers.ts' has no row in the import table (test/tidy/layers.ts)",
    ],
  },
  {
    rule: 'packages',
    name: 'each package where its row says -> allowed',
    files: {
      'src/protocol/codec.ts': "import { Packr } from 'msgpackr'",
      'src/net/node/socket.ts': "import { WebSocket } from 'ws'\nimport { createServer } from 'node:http'",
      'src/server/logger.ts': "import { pino } from 'pino'\nimport { parse } from 'yaml'",
      'src/cli/main.ts': "import { Command } from 'commander'\nimport { spawn } from 'node:child_process'",
      'src/platform/node/crc.ts':
        "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)\nrequire('@node-rs/crc32')",
      'src/storage/node-file-system.ts': "import { open } from 'node:fs/promises'",
      'src/client/node.ts': "import { hostname } from 'node:os'",
    },
    findings: [],
  },
  {
    rule: 'packages',
    name: 'SIM-1: files, sockets and threads outside of the adapters -> refused',
    files: {
      'src/log/a.ts': "import { readFileSync } from 'node:fs'",
      'src/broker/b.ts': "import { connect } from 'node:net'",
      'src/storage/segment.ts': "import { open } from 'node:fs/promises'",
      'src/net/connection.ts': "import type { WebSocket } from 'ws'",
      'src/record/c.ts': "import { gzip } from 'node:zlib'",
      'src/testing/d.ts': "import { Worker } from 'node:worker_threads'",
      'src/client/options.ts': "import { env } from 'node:process'",
    },
    findings: [
      ['src/log/a.ts', 'node:fs'],
      ['src/broker/b.ts', 'node:net'],
      ['src/storage/segment.ts', 'node:fs/promises'],
      ['src/net/connection.ts', 'ws'],
      ['src/record/c.ts', 'node:zlib'],
      ['src/testing/d.ts', 'node:worker_threads'],
      ['src/client/options.ts', 'node:process'],
    ].map(([path, name]) => {
      const node =
        'src/platform/node/, src/storage/node-file-system.ts, src/net/node/, src/server/, src/cli/, src/client/node.ts'
      return `${path}:1 packages: '${name}' may be imported only by ${name === 'ws' ? 'src/net/node/' : node}`
    }),
  },
  {
    rule: 'packages',
    name: 'a package without a row, a built-in without node:, a self-import -> refused',
    files: {
      'src/server/a.ts': "import _ from 'lodash'",
      'src/server/b.ts': "import fs from 'fs'",
      'src/server/c.ts': "import { Client } from 'vltava/client'",
      'src/server/d.ts': "import x from '#internal'",
      'src/server/e.ts': "import x from 'data:text/javascript,export default 1'",
      'src/server/f.ts': "import vm from 'node:vm'",
      'src/server/g.ts': "import '/opt/x.ts'",
      'src/protocol/codec.ts': "import { Packr } from 'msgpackr/pack'\nimport { x } from '@node-rs/other'",
    },
    findings: [
      "src/server/a.ts:1 packages: 'lodash' may not be imported",
      "src/server/b.ts:1 packages: 'fs' may not be imported",
      "src/server/c.ts:1 packages: 'vltava/client' may not be imported",
      "src/server/d.ts:1 packages: '#internal' may not be imported",
      "src/server/e.ts:1 packages: 'data:text/javascript,export default 1' may not be imported",
      "src/server/f.ts:1 packages: 'node:vm' may not be imported",
      "src/server/g.ts:1 packages: '/opt/x.ts' may not be imported",
      "src/protocol/codec.ts:2 packages: '@node-rs/other' may not be imported",
    ],
  },
  {
    rule: 'packages',
    name: 'SEC-59: what is loaded is computed, or require goes where it cannot be followed -> refused',
    files: {
      'src/server/a.ts': 'export const load = (name: string) => import(name)',
      'src/server/b.ts': "export const load = (name: string) => import('./' + name + '.ts')",
      'src/server/c.ts': 'const require = createRequire(import.meta.url)\nrequire(process.argv[2])',
      'src/server/d.ts': 'const load = createRequire(import.meta.url)\nexport const hidden = load',
      'src/server/e.ts': "import { createRequire as make } from 'node:module'",
      'src/server/f.ts': "import module from 'node:module'\nmodule.createRequire(import.meta.url)('ws')",
      'src/server/g.ts': 'run(createRequire(import.meta.url))',
      'src/server/h.ts': 'const make = createRequire',
      'src/server/i.ts': 'const { resolve } = createRequire(import.meta.url)',
    },
    findings: [
      ['a', 1],
      ['b', 1],
      ['c', 2],
      ['d', 2],
      ['e', 1],
      ['f', 2],
      ['g', 1],
      ['h', 1],
      ['i', 1],
    ].map(
      ([name, line]) =>
        `src/server/${name}.ts:${line} packages: what is loaded here cannot be read from the text`,
    ),
  },
  {
    rule: 'packages',
    name: 'members that are called require -> no load',
    files: {
      'src/log/a.ts':
        'export interface A { require(x: number): void }\nexport const b = (a: A) => a.require(1)',
    },
    findings: [],
  },
  {
    rule: 'real-adapters',
    name: 'SIM-1: a shell names a real clock or file system -> refused; the server does -> allowed',
    files: {
      'src/platform/node/clock.ts': VALUE,
      'src/storage/node-file-system.ts': VALUE,
      'src/net/web/socket.ts': VALUE,
      'src/broker/a.ts': "import { value } from '../platform/node/clock.ts'",
      'src/storage/segment.ts': "import { value } from './node-file-system.ts'",
      'src/client/producer.ts': "import { value } from '../net/web/socket.ts'",
      'src/client/browser.ts': "import { value } from '../net/web/socket.ts'",
      'src/server/environment.ts': "import { value } from '../platform/node/clock.ts'",
    },
    findings: [
      'src/broker/a.ts:1 real-adapters: src/platform/node/clock.ts is a real adapter: take its port as an argument',
      'src/storage/segment.ts:1 real-adapters: src/storage/node-file-system.ts is a real adapter: take its port as an argument',
      'src/client/producer.ts:1 real-adapters: src/net/web/socket.ts is a real adapter: take its port as an argument',
    ],
  },
  {
    rule: 'import-cycles',
    name: 'files that import each other, a file that imports itself, a cycle of types -> refused; a diamond -> allowed',
    files: {
      'src/log/a.ts': "\nimport { c } from './b.ts'",
      'src/log/b.ts': "import { c } from './c.ts'",
      'src/log/c.ts': "import { a } from './a.ts'\nexport const c = 1",
      'src/log/self.ts': "import { x } from './self.ts'\nexport const x = 1",
      'src/raft/d.ts': "import type { E } from './e.ts'\nexport type D = E",
      'src/raft/e.ts': "import type { D } from './d.ts'\nexport type E = D",
      'src/base/top.ts': "import './left.ts'\nimport './right.ts'",
      'src/base/left.ts': "import './bottom.ts'",
      'src/base/right.ts': "import './bottom.ts'",
      'src/base/bottom.ts': VALUE,
    },
    findings: [
      'src/log/a.ts:2 import-cycles: src/log/a.ts -> src/log/b.ts -> src/log/c.ts -> src/log/a.ts',
      'src/log/self.ts:1 import-cycles: src/log/self.ts -> src/log/self.ts',
      'src/raft/d.ts:1 import-cycles: src/raft/d.ts -> src/raft/e.ts -> src/raft/d.ts',
    ],
  },
  {
    rule: 'browser-reach',
    name: 'a file that the browser reaches needs Node -> refused with the way to it',
    files: {
      'src/client/browser.ts': "import { a } from './a.ts'\nimport type { Node } from './node.ts'",
      'src/client/a.ts': "export * from './b.ts'",
      'src/client/b.ts':
        "import { WebSocket } from 'ws'\nexport const size = (x: unknown) => (x instanceof Buffer ? 1 : process.pid)\nexport type Bytes = Buffer",
      'src/client/node.ts': "import { open } from 'node:fs'\nexport type Node = NodeJS.Platform",
    },
    findings: [
      "src/client/b.ts:1 browser-reach: 'ws' is not for browsers; the browser loads this by src/client/browser.ts -> src/client/a.ts -> src/client/b.ts",
      "src/client/b.ts:2 browser-reach: Buffer is Node's; the browser loads this by src/client/browser.ts -> src/client/a.ts -> src/client/b.ts",
      "src/client/b.ts:2 browser-reach: process is Node's; the browser loads this by src/client/browser.ts -> src/client/a.ts -> src/client/b.ts",
      "src/client/b.ts:3 browser-reach: Buffer is Node's; the browser loads this by src/client/browser.ts -> src/client/a.ts -> src/client/b.ts",
    ],
  },
  {
    rule: 'browser-reach',
    name: 'an import that keeps only its braces still runs the module -> followed',
    files: {
      'src/client/browser.ts': "import { type Node } from './node.ts'",
      'src/client/node.ts': "import { pino } from 'pino'\nexport type Node = number",
    },
    findings: [
      "src/client/node.ts:1 browser-reach: 'pino' is not for browsers; the browser loads this by src/client/browser.ts -> src/client/node.ts",
    ],
  },
  {
    rule: 'browser-reach',
    name: 'names of its own, members and msgpackr -> allowed',
    files: {
      'src/client/browser.ts': "import { Packr } from 'msgpackr'\nimport { a } from './a.ts'",
      'src/client/a.ts':
        'export interface Environment { readonly process: { fail(): void } }\nexport const a = ({ process }: Environment, other: Environment) => [process.fail(), other.process]',
    },
    findings: [],
  },
  {
    rule: 'browser-reach',
    name: 'the entry is gone -> refused, so that the rule cannot pass on nothing',
    files: { 'src/client/node.ts': VALUE },
    findings: ['src/client/browser.ts:1 browser-reach: the browser entry is missing'],
  },
]
