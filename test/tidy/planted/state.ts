import type { Planted } from './planted.ts'

const PATH = 'src/broker/state.ts'

/** The planted lines are refused at line 1, or at the line given, with this message. */
type Refused = readonly [code: string, message: string, line?: number]

const WITHOUT_GUARD = "is mutable: annotate it with a readonly type, or 'as const'"

const REFUSED: readonly Refused[] = [
  ['let count = 0', "'let count = 0' can be assigned anew"],
  ['export let last: string | undefined', "'let last: string | undefined' can be assigned anew"],
  ['var count = 0', "'var' can be assigned anew"],
  ['if (true) {\n  var count = 0\n}', "'var' can be assigned anew", 2],
  ['const cache = new Map<string, number>()', "'cache' is a mutable Map: annotate it with its Readonly type"],
  ['export const seen = new Set()', "'seen' is a mutable Set: annotate it with its Readonly type"],
  ['const owners = new WeakMap()', "'owners' is a mutable WeakMap: annotate it with its Readonly type"],
  ['const slots = new Array(10)', "'slots' is a mutable Array: annotate it with its Readonly type"],
  [
    'const cache: Map<string, number> = new Map()',
    "'cache' is a mutable Map: annotate it with its Readonly type",
  ],
  [
    'const cache: Readonly<Map<string, number>> = new Map()',
    "'cache' is a mutable Map: annotate it with its Readonly type",
  ],
  ['const cache: Cache = new Map()', "'cache' is a mutable Map: annotate it with its Readonly type"],
  ['const cache = new Map() as const', "'cache' is a mutable Map: annotate it with its Readonly type"],
  ['const cache = Object.freeze(new Map())', "'cache' is a mutable Map: annotate it with its Readonly type"],
  ["const cache = new Map().set('a', 1)", "'cache' is a mutable Map: annotate it with its Readonly type"],
  ['const queue: string[] = []', `'queue' ${WITHOUT_GUARD}`],
  ['const queue = [1, 2]', `'queue' ${WITHOUT_GUARD}`],
  ['const doubled = [1, 2].map((n) => n * 2)', `'doubled' ${WITHOUT_GUARD}`],
  ['const names = Object.keys(rows)', "'names' is made by Object.keys(): annotate it with a readonly type"],
  ['const stats = { sent: 0 }', `'stats' ${WITHOUT_GUARD}`],
  ['const stats: Record<string, number> = {}', `'stats' ${WITHOUT_GUARD}`],
  ['const stats: { sent: number } = { sent: 0 }', `'stats' ${WITHOUT_GUARD}`],
  ['const stats = {} satisfies Stats', `'stats' ${WITHOUT_GUARD}`],
  ['const both = 1, other = []', `'other' ${WITHOUT_GUARD}`],
  [
    'const hidden = { cache: new Map() } as const',
    "'hidden' holds a value that is a mutable Map: annotate it with its Readonly type",
  ],
  ['const hidden = Object.freeze({ list: [] })', `'hidden' holds a value that ${WITHOUT_GUARD}`],
  [
    'const registry = new Registry()',
    "'registry' is a lasting Registry: create it where it is used, or pass it in",
  ],
  [
    'const registry: Lookup = new Registry()',
    "'registry' is a lasting Registry: create it where it is used, or pass it in",
  ],
  [
    'const ports: Ports = { log: new FileLog() }',
    "'ports' holds a value that is a lasting FileLog: create it where it is used, or pass it in",
  ],
  [
    'const buffer = new Uint8Array(1024)',
    "'buffer' is a lasting Uint8Array: create it where it is used, or pass it in",
  ],
  ['class A {\n  static made = 0\n}', "static 'made' is not readonly", 2],
  ['class A {\n  static #made = 0\n}', "static '#made' is not readonly", 2],
  [
    'class A {\n  static readonly all = new Set()\n}',
    "static 'all' is a mutable Set: annotate it with its Readonly type",
    2,
  ],
  ['const A = build()\nA.count = 1', "'A.count' is changed, and it belongs to a module", 2],
  [
    'const A = build()\nexport const f = () => A.list[0]!.n++',
    "'A.list[0]!.n' is changed, and it belongs to a module",
    2,
  ],
  ['const A = build()\nexport const f = () => delete A.x', "'A.x' is changed, and it belongs to a module", 2],
  ['const A = build()\nexport const f = () => --A.x', "'A.x' is changed, and it belongs to a module", 2],
  [
    'const A = build()\nexport const f = () => (A.x ??= 1)',
    "'A.x' is changed, and it belongs to a module",
    2,
  ],
  [
    'const A = build()\nexport const f = () => A.list.push(1)',
    "'A.list' is changed by push(), and it belongs to a module",
    2,
  ],
  ['function f() {\n  f.calls = 1\n}', "'f.calls' is changed, and it belongs to a module", 2],
  ['class A {}\nexport const f = () => (A.last = 1)', "'A.last' is changed, and it belongs to a module", 2],
  ["import { config } from './c.ts'\nconfig.x = 1", "'config.x' is changed, and it belongs to a module", 2],
  [
    'const R = /a/g\nexport const f = (x: string) => R.test(x)',
    "test() moves the lastIndex of 'R', which belongs to a module",
    2,
  ],
]

const ALLOWED = `
import { A } from './a.ts'
declare const flavour: unique symbol
const LIMIT_BYTES = 10, NAME = 'x'
const BY_NAME: ReadonlyMap<string, readonly number[]> = new Map([['a', [1]]])
const CAST = new Map() as ReadonlyMap<string, number>
const NAMES: readonly string[] = ['a', 'b']
const SORTED: readonly string[] = [...NAMES].sort()
const KEYS: readonly string[] = Object.keys({ a: 1 })
const HANDLERS: ReadonlyMap<string, (seen: Map<string, number>) => void> = new Map()
const ROWS = { a: { n: 1, list: [1] } } as const satisfies Record<string, Row>
const FROZEN = Object.freeze(['a'])
const INLINE: { readonly a: number; f(): void } = { a: 1, f() {} }
const TEXT = ['a', 'b'].join(' ')
const TABLE = buildTable()
const NO_BYTES = new Uint8Array(0)
const PATTERN = /^[a-z]+$/g
const ENCODER = new TextEncoder()
export const silentLog: Log = { debug() {}, child: () => silentLog }
export const EMPTY: Image = { topics: new Map() }
export const DEFAULTS: Config = Object.fromEntries([]) as Config
export const run = (x: string) => [x.replace(PATTERN, ''), TABLE.get(x)]
class Counter {
  static readonly NAMES: readonly string[] = []
  readonly #cache = new Map()
  static make() { let made = 0; made++; return new Counter() }
  add(TABLE: Set<number>, A: { x: number }) { A.x = 1; TABLE.add(1); this.#cache.set(1, 2) }
}
function local() { const A = { x: 1 }; let i = 0; for (let j = 0; j < 3; j++) i += j; A.x = i; const list = []; list.push(A) }
`

export const PLANTED_STATE: readonly Planted[] = [
  ...REFUSED.map(([code, message, line = 1]) => ({
    rule: 'module-state',
    name: `${code.replaceAll('\n', ' ')} -> refused`,
    files: { [PATH]: code },
    findings: [`${PATH}:${line} module-state: ${message}`],
  })),
  {
    rule: 'module-state',
    name: 'constants, readonly tables, state of functions and objects -> allowed',
    files: { [PATH]: ALLOWED },
    findings: [],
  },
  {
    rule: 'module-state',
    name: 'a lasting object of a package -> allowed where its row says',
    files: {
      'src/protocol/codec.ts': 'const packr = new Packr({ useRecords: false })',
      'src/protocol/frame.ts': 'const packr = new Packr({ useRecords: false })',
    },
    findings: [
      "src/protocol/frame.ts:1 module-state: 'packr' is a lasting Packr: create it where it is used, or pass it in",
    ],
  },
  {
    rule: 'module-state',
    name: 'tests -> not checked',
    files: { 'test/broker/state.test.ts': 'let count = 0' },
    findings: [],
  },
]
