import type { Planted } from './planted.ts'

const BELOW = 'src/replication/core.ts'
const ABOVE = 'src/broker/shell.ts'

/** One line of code that a rule refuses, and what the finding calls it. */
type Refused = readonly [code: string, what: string]

const REFUSED_EVERYWHERE: readonly Refused[] = [
  ['export const now = () => Date.now()', 'Date.now'],
  ['export const now = () => new Date()', 'Date'],
  ['export const now = () => Date()', 'Date'],
  ['const { now } = Date', 'Date'],
  ['class Moment extends Date {}', 'Date'],
  ['export interface Date {}; export const now = () => Date.now()', 'Date.now'],
  ['export const now = () => performance.now()', 'performance.now'],
  ['setTimeout(() => {}, 1)', 'setTimeout'],
  ['setInterval(() => {}, 1)', 'setInterval'],
  ['setImmediate(() => {})', 'setImmediate'],
  ['export const clock = { setTimeout }', 'setTimeout'],
  ['export const draw = () => Math.random()', 'Math.random'],
  ['const { random } = Math', 'Math'],
  ["export const draw = () => Math['random']()", 'Math'],
  ['crypto.getRandomValues(new Uint8Array(1))', 'crypto.getRandomValues'],
  ['export const id = () => crypto.randomUUID()', 'crypto.randomUUID'],
  ['export const debug = process.env', 'process.env'],
  ['process.exit(1)', 'process.exit'],
  ['process.hrtime()', 'process.hrtime'],
  ['process.nextTick(() => {})', 'process.nextTick'],
  ["console.log('x')", 'console.log'],
  ["export const get = () => fetch('x')", 'fetch'],
  ["new WebSocket('x')", 'WebSocket'],
  ['new MessageChannel()', 'MessageChannel'],
  ['new WeakRef({})', 'WeakRef'],
  ['new FinalizationRegistry(() => {})', 'FinalizationRegistry'],
  ['globalThis.setTimeout(() => {}, 1)', 'globalThis.setTimeout'],
  ['declare function setTimeout(f: () => void, ms: number): void\nsetTimeout(() => {}, 1)', 'setTimeout'],
]

const REFUSED_BELOW: readonly Refused[] = [
  ['export async function load() {}', 'async'],
  ['export const load = async () => {}', 'async'],
  ['export class A { async load() {} }', 'async'],
  ['export class A { async *load() {} }', 'async'],
  ['await load', 'await'],
  ['for await (const x of y) {}', 'for await'],
  ['export const done = Promise.resolve()', 'Promise.resolve'],
  ['export type Load = () => Promise<void>', 'the type Promise'],
  ['export const load = (x: A) => x.then(() => {})', '.then()'],
  ["export const load = () => import('./other.ts')", 'import()'],
  ['queueMicrotask(() => {})', 'queueMicrotask'],
  ['export const bytes = Buffer.from([1])', 'Buffer.from'],
  ['new AbortController()', 'AbortController'],
  ['AbortSignal.abort()', 'AbortSignal.abort'],
]

function refusedBelow([code, what]: Refused): Planted {
  const lines = code.startsWith('declare') ? [1, 2] : [1]
  return {
    rule: 'below-purity-line',
    name: `SIM-1: below the line: ${code.split('\n').at(-1)} -> refused`,
    files: { [BELOW]: code },
    findings: lines.map(
      (n) => `${BELOW}:${n} below-purity-line: ${what} is not allowed below the purity line`,
    ),
  }
}

function refusedAbove([code, what]: Refused): Planted {
  const lines = code.startsWith('declare') ? [1, 2] : [1]
  return {
    rule: 'above-purity-line',
    name: `SIM-1: above the line: ${code.split('\n').at(-1)} -> refused`,
    files: { [ABOVE]: code },
    findings: lines.map(
      (n) => `${ABOVE}:${n} above-purity-line: ${what} is not allowed here: take a port as an argument`,
    ),
  }
}

const DATES = [
  'export const shown = (ms: number) => new Date(ms).toISOString()',
  'export const parsed = (text: string) => Date.parse(text)',
  'export const now = () => new Date().toISOString()',
].join('\n')

/** Names that look like globals and are not. */
const OWN_NAMES = [
  "import { fetch } from '../protocol/fetch.ts'",
  'export interface Environment { readonly process: { fail(): void }; readonly crypto: number }',
  'export function run(environment: Environment, performance: number) {',
  '  const { process, crypto: console } = environment',
  '  process.fail()',
  '  return [environment.process, { process }, performance, console, fetch, { setTimeout: 1 }]',
  '}',
  'export class Timers { setTimeout(): void {} }',
  'export type Started = Date | WeakRef<object> | typeof setTimeout',
  'export const top = Math.max(1, 2)',
  'export { top as self }',
  "export { fetch as navigator } from '../protocol/fetch.ts'",
].join('\n')

export const PLANTED_IMPURITIES: readonly Planted[] = [
  ...[...REFUSED_EVERYWHERE, ...REFUSED_BELOW].map(refusedBelow),
  ...[...REFUSED_EVERYWHERE, ['AbortSignal.timeout(1)', 'AbortSignal.timeout'] as const].map(refusedAbove),
  {
    rule: 'below-purity-line',
    name: 'own names, members and types that are called like globals -> allowed',
    files: { [BELOW]: OWN_NAMES },
    findings: [],
  },
  {
    rule: 'below-purity-line',
    name: 'a port of base declares a promise -> allowed; it makes one -> refused',
    files: {
      'src/base/port.ts': 'export interface Port { load(): Promise<void> }',
      'src/base/other.ts': 'export const port = { load: (): Promise<void> => Promise.resolve() } as const',
    },
    findings: ['src/base/other.ts:1 below-purity-line: Promise.resolve is not allowed below the purity line'],
  },
  {
    rule: 'below-purity-line',
    name: 'every folder below the line -> checked; base/async and what lies above -> not',
    files: Object.fromEntries(
      'base base/async schema model record protocol log raft replication metadata groups history storage broker'
        .split(' ')
        .map((folder) => [`src/${folder}/a.ts`, 'await x']),
    ),
    findings: 'base schema model record protocol log raft replication metadata groups history'
      .split(' ')
      .map((folder) => `src/${folder}/a.ts:1 below-purity-line: await is not allowed below the purity line`),
  },
  {
    rule: 'above-purity-line',
    name: 'own names, members and types that are called like globals -> allowed',
    files: { [ABOVE]: OWN_NAMES },
    findings: [],
  },
  {
    rule: 'above-purity-line',
    name: 'waiting and being cancelled -> allowed',
    files: {
      [ABOVE]:
        'export async function run(signal: AbortSignal) { await Promise.all([]); queueMicrotask(() => {}); return [new AbortController(), signal instanceof AbortSignal, AbortSignal.any([signal])] }',
    },
    findings: [],
  },
  {
    rule: 'above-purity-line',
    name: 'every folder above the line -> checked; the real ports -> not',
    files: Object.fromEntries(
      [
        'base/async/a',
        'storage/a',
        'net/a',
        'client/a',
        'broker/a',
        'controller/a',
        'server/a',
        'testing/a',
        'cli/a',
        'platform/node/a',
        'platform/web/a',
        'net/node/a',
        'net/web/a',
        'storage/node-file-system',
      ].map((name) => [`src/${name}.ts`, 'Math.random()']),
    ),
    findings: 'base/async storage net client broker controller server testing cli'
      .split(' ')
      .map(
        (folder) =>
          `src/${folder}/a.ts:1 above-purity-line: Math.random is not allowed here: take a port as an argument`,
      ),
  },
  {
    rule: 'above-purity-line',
    name: 'a Date of a given time in the commands -> allowed; one of now -> refused',
    files: { 'src/cli/output.ts': DATES, 'src/client/text.ts': DATES },
    findings: [
      'src/cli/output.ts:3 above-purity-line: Date is not allowed here: take a port as an argument',
      'src/client/text.ts:1 above-purity-line: Date is not allowed here: take a port as an argument',
      'src/client/text.ts:2 above-purity-line: Date.parse is not allowed here: take a port as an argument',
      'src/client/text.ts:3 above-purity-line: Date is not allowed here: take a port as an argument',
    ],
  },
  {
    rule: 'above-purity-line',
    name: 'a command owns its process, terminal and time -> allowed there only; the rest goes through ports',
    files: {
      'src/cli/main.ts':
        'process.exitCode = 1\nsetInterval(() => performance.now(), 1)\nDate.now()\nconsole.log()',
      'src/server/server.ts': 'process.exitCode = 1',
    },
    findings: [
      'src/cli/main.ts:3 above-purity-line: Date.now is not allowed here: take a port as an argument',
      'src/cli/main.ts:4 above-purity-line: console.log is not allowed here: take a port as an argument',
      'src/server/server.ts:1 above-purity-line: process.exitCode is not allowed here: take a port as an argument',
    ],
  },
  {
    rule: 'above-purity-line',
    name: 'SIM-1: timers, clocks and chance from built-in modules -> refused as the globals are',
    files: {
      'src/server/a.ts': "import { setTimeout as delay } from 'node:timers/promises'",
      'src/server/b.ts': "import { performance } from 'node:perf_hooks'",
      'src/server/c.ts': "import { randomBytes } from 'node:crypto'",
      'src/server/d.ts': "import { env } from 'node:process'",
      'src/server/e.ts': "import type { Histogram } from 'node:perf_hooks'",
      'src/cli/watch.ts': "import { setTimeout as delay } from 'node:timers/promises'",
      'src/cli/topics.ts': "import { randomBytes } from 'node:crypto'",
    },
    findings: [
      "src/server/a.ts:1 above-purity-line: 'node:timers/promises' is not allowed here: take a port as an argument",
      "src/server/b.ts:1 above-purity-line: 'node:perf_hooks' is not allowed here: take a port as an argument",
      "src/server/c.ts:1 above-purity-line: 'node:crypto' is not allowed here: take a port as an argument",
      "src/server/d.ts:1 above-purity-line: 'node:process' is not allowed here: take a port as an argument",
      "src/cli/topics.ts:1 above-purity-line: 'node:crypto' is not allowed here: take a port as an argument",
    ],
  },
  {
    rule: 'code-from-text',
    name: 'SEC-59: eval and Function, in adapters too -> refused',
    files: {
      'src/cli/a.ts': "eval('1')\nconst indirect = eval",
      'src/platform/node/b.ts': "new Function('return 1')",
      'src/protocol/c.ts': "Function('return 1')",
      'src/protocol/d.ts':
        'export type Callback = Function\nexport const evaluate = (x: { eval(): void }) => x.eval()',
    },
    findings: [
      'src/cli/a.ts:1 code-from-text: eval makes code from text',
      'src/cli/a.ts:2 code-from-text: eval makes code from text',
      'src/platform/node/b.ts:1 code-from-text: Function makes code from text',
      'src/protocol/c.ts:1 code-from-text: Function makes code from text',
    ],
  },
]
