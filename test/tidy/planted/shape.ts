import { CHECK_SWITCHES, COVERAGE_PRAGMAS, MACHINE_FOLDERS, UNFINISHED_MARKS } from '../shape-rules.ts'
import type { Planted } from './planted.ts'

const lines = (count: number): string => 'x()\n'.repeat(count)

/** A function whose body has so many lines, braces included. */
const bodyOf = (count: number): string => `{\n${lines(count - 2)}}`

const SHELL_FILES = [
  'broker/partition',
  'storage/partition-log',
  'net/connection',
  'raft/raft-node',
  'controller/controller',
]

const LENGTHS: readonly Planted[] = [
  {
    rule: 'file-length',
    name: '600 lines -> allowed; 601, in src or test, with or without a last line end -> refused',
    files: {
      'src/log/full.ts': lines(600),
      'src/log/long.ts': lines(601),
      'test/log/long.test.ts': `${lines(600)}x()`,
    },
    findings: [
      'src/log/long.ts:601 file-length: 601 lines; at most 600',
      'test/log/long.test.ts:601 file-length: 601 lines; at most 600',
    ],
  },
  {
    rule: 'file-length',
    name: 'the shells that attract everything: 350 lines -> allowed; 351 -> refused; their tests -> not meant',
    files: {
      ...Object.fromEntries(SHELL_FILES.map((name) => [`src/${name}.ts`, lines(351)])),
      'src/testing/partition.ts': lines(350),
      'test/broker/controller.ts': lines(351),
    },
    findings: SHELL_FILES.map((name) => `src/${name}.ts:351 file-length: 351 lines; at most 350`),
  },
  {
    rule: 'function-length',
    name: 'a body of 70 lines -> allowed',
    files: { 'src/log/a.ts': `export function f() ${bodyOf(70)}` },
    findings: [],
  },
  {
    rule: 'function-length',
    name: 'every kind of function with 71 lines -> refused',
    files: {
      'src/log/function.ts': `\nexport function f() ${bodyOf(71)}`,
      'src/log/arrow.ts': `const f = () => ${bodyOf(71)}`,
      'src/log/expression.ts': `const f = () => [\n${'1,\n'.repeat(69)}]`,
      'src/log/anonymous.ts': `const f = function () ${bodyOf(71)}`,
      'src/log/method.ts': `class A { m() ${bodyOf(71)} }`,
      'src/log/constructor.ts': `class A { constructor() ${bodyOf(71)} }`,
      'src/log/getter.ts': `class A { get g() ${bodyOf(71)} }`,
      'src/log/literal.ts': `const a = { m() ${bodyOf(71)} }`,
      'src/log/generator.ts': `function* f() ${bodyOf(71)}`,
    },
    findings: [
      ['function', 2],
      ['arrow', 1],
      ['expression', 1],
      ['anonymous', 1],
      ['method', 1],
      ['constructor', 1],
      ['getter', 1],
      ['literal', 1],
      ['generator', 1],
    ].map(
      ([name, line]) => `src/log/${name}.ts:${line} function-length: the function has 71 lines; at most 70`,
    ),
  },
  {
    rule: 'function-length',
    name: 'what holds tests -> allowed in tests; a helper in it, or the same in src -> refused',
    files: {
      'test/log/a.test.ts': [
        `describe('a', () => ${bodyOf(71)})`,
        `it.each([1])('a', () => ${bodyOf(71)})`,
        `describe.skipIf(x)('a', () => ${bodyOf(71)})`,
        `it('a', () => {\n  const helper = () => ${bodyOf(71)}\n})`,
        `run('a', () => ${bodyOf(71)})`,
      ].join('\n'),
      'test/contracts/clock-contract.ts': `function clockContract() {\n  it('a', () => {})\n${lines(69)}}`,
      'src/log/b.ts': `describe('a', () => ${bodyOf(71)})`,
    },
    findings: [
      'test/log/a.test.ts:215 function-length: the function has 71 lines; at most 70',
      'test/log/a.test.ts:287 function-length: the function has 71 lines; at most 70',
      'src/log/b.ts:1 function-length: the function has 71 lines; at most 70',
    ],
  },
]

const NAMES: readonly Planted[] = [
  {
    rule: 'file-names',
    name: 'kebab-case, a glossary, scenario texts, entries -> allowed',
    files: {
      'src/log/epoch-history.ts': '',
      'src/model/GLOSSARY.md': '',
      'src/server/index.ts': '',
      'src/testing/index.ts': '',
      'src/index.ts': '',
      'test/log/epoch-history.test.ts': '',
      'test/scenarios/raft/vote-2.txt': '',
    },
    findings: [],
  },
  {
    rule: 'file-names',
    name: 'other cases, barrels, JavaScript and declarations in src -> refused',
    files: {
      'src/log/EpochHistory.ts': '',
      'src/log/epoch_history.ts': '',
      'src/leaderElection/a.ts': '',
      'test/log/epochHistory.test.ts': '',
      'src/net/index.ts': '',
      'src/log/fast.js': '',
      'src/log/fast.d.ts': '',
      'src/log/view.tsx': '',
    },
    findings: [
      'src/log/EpochHistory.ts:1 file-names: is not in kebab-case',
      'src/log/epoch_history.ts:1 file-names: is not in kebab-case',
      'src/leaderElection/a.ts:1 file-names: is not in kebab-case',
      'test/log/epochHistory.test.ts:1 file-names: is not in kebab-case',
      'src/net/index.ts:1 file-names: is a barrel: import the files themselves',
      'src/log/fast.js:1 file-names: is not a TypeScript module',
      'src/log/fast.d.ts:1 file-names: is not a TypeScript module',
      'src/log/view.tsx:1 file-names: is not a TypeScript module',
    ],
  },
]

const DECLARATIONS: readonly Planted[] = [
  {
    rule: 'declarations',
    name: 'default exports, enums and casts to any -> refused',
    files: {
      'src/log/a.ts': 'export default function f() {}',
      'src/log/b.ts': 'const x = 1\nexport default x',
      'src/log/c.ts': 'const x = 1\nexport { x as default }',
      'src/log/d.ts': "const x = 1\nexport { default } from './a.ts'",
      'src/log/e.ts': 'export enum Role { leader, follower }',
      'src/log/f.ts': 'export const enum Role { leader, follower }',
      'src/log/g.ts': 'export const x = JSON.parse(text) as any',
      'src/log/h.ts': 'export const x = <any>JSON.parse(text)',
    },
    findings: [
      'src/log/a.ts:1 declarations: exports are named, not default',
      'src/log/b.ts:2 declarations: exports are named, not default',
      'src/log/c.ts:2 declarations: exports are named, not default',
      'src/log/d.ts:2 declarations: exports are named, not default',
      'src/log/e.ts:1 declarations: an enum is not erasable: use a union of literals',
      'src/log/f.ts:1 declarations: an enum is not erasable: use a union of literals',
      'src/log/g.ts:1 declarations: a cast to any',
      'src/log/h.ts:1 declarations: a cast to any',
    ],
  },
  {
    rule: 'declarations',
    name: 'a file that only re-exports -> refused, unless it is an entry of the package',
    files: {
      'src/client/all.ts': "export * from './a.ts'\nexport { b } from './b.ts'",
      'src/client/node.ts': "export * from './a.ts'",
      'src/client/some.ts': "export * from './a.ts'\nexport const x = 1",
    },
    findings: ['src/client/all.ts:1 declarations: the file only passes on the exports of others'],
  },
  {
    rule: 'declarations',
    name: 'named exports, other casts and the default of a switch -> allowed',
    files: {
      'src/log/a.ts':
        "export function f(x: 'a' | 'b') {\n  switch (x) {\n    case 'a':\n      return x as string\n    default:\n      return 1 as unknown\n  }\n}",
      'test/log/a.test.ts': 'const x = y as any',
    },
    findings: [],
  },
]

const TEXTS: readonly Planted[] = [
  {
    rule: 'refused-texts',
    name: 'unfinished work in src, test, bin and benchmarks -> refused',
    files: Object.fromEntries(
      UNFINISHED_MARKS.map((mark, i) => [
        `${['src', 'test', 'bin', 'benchmarks'][i]}/a.ts`,
        `\n// ${mark}: later`,
      ]),
    ),
    findings: UNFINISHED_MARKS.map(
      (mark, i) =>
        `${['src', 'test', 'bin', 'benchmarks'][i]}/a.ts:2 refused-texts: unfinished work: ${mark}`,
    ),
  },
  {
    rule: 'refused-texts',
    name: 'a check switched off -> refused in src',
    files: {
      'src/log/a.ts': CHECK_SWITCHES.map((text) => `// ${text}`).join('\n'),
      'test/log/a.test.ts': `// ${CHECK_SWITCHES[1]}`,
    },
    findings: CHECK_SWITCHES.map(
      (text, i) => `src/log/a.ts:${i + 1} refused-texts: a check switched off: ${text}`,
    ),
  },
  {
    rule: 'refused-texts',
    name: 'a coverage pragma -> refused',
    files: { 'src/log/a.ts': COVERAGE_PRAGMAS.map((text) => `/* ${text} next */`).join('\n') },
    findings: COVERAGE_PRAGMAS.map(
      (text, i) => `src/log/a.ts:${i + 1} refused-texts: a coverage pragma: ${text}`,
    ),
  },
  {
    rule: 'refused-texts',
    name: 'a test left out or run alone -> refused',
    files: {
      'test/log/a.test.ts': ['only', 'skip', 'todo', 'skipIf', 'each']
        .map((how) => `it.${how}(x)`)
        .join('\n'),
    },
    findings: ['only', 'skip', 'todo'].map(
      (how, i) => `test/log/a.test.ts:${i + 1} refused-texts: a test left out or run alone: it.${how}`,
    ),
  },
  {
    rule: 'refused-texts',
    name: 'a path of one machine -> refused; words and addresses that look alike -> allowed',
    files: {
      'src/log/a.ts': MACHINE_FOLDERS.map((folder) => `const path = '/${folder}/someone/vltava'`).join('\n'),
      'test/log/b.ts': ['C:', 'Users', 'someone'].join('\\\\'),
      'test/log/c.ts': "'/data/topics' + 'http://example.org/home/page' + '../work/x' + 1 / root / 2",
    },
    findings: [
      ...MACHINE_FOLDERS.map(
        (folder, i) => `src/log/a.ts:${i + 1} refused-texts: a path of one machine: /${folder}/`,
      ),
      `test/log/b.ts:1 refused-texts: a path of one machine: ${['C:', 'Users'].join('\\\\')}`,
    ],
  },
  {
    rule: 'refused-texts',
    name: 'words that contain a mark -> allowed',
    files: { 'src/log/a.ts': '// hackathon, fixed, todos, mkdtempXXXXXX' },
    findings: [],
  },
]

export const PLANTED_SHAPES: readonly Planted[] = [...LENGTHS, ...NAMES, ...DECLARATIONS, ...TEXTS]
