// A broker that is correct because it is trivial (SIM-27): each key is a list, and an operation takes place at one moment
// between its two events. Random clients use it at the same time, with all outcomes that a real one has.
import type { Random } from '../../src/base/random.ts'
import type { HistoryKey, HistoryOperation, SeenRecord, SendStep } from '../../src/history/history.ts'
import { HistoryRecorder, type Invocation } from '../../src/history/history-recorder.ts'

export const KEYS: readonly HistoryKey[] = ['x/0', 'x/1', 'y/0']
const POLL_RECORDS_MAX = 3

type Type = 'ok' | 'fail' | 'info'

interface Client {
  process: number
  readonly kind: 'producer' | 'consumer'
  keys: readonly HistoryKey[]
  readonly positions: Map<HistoryKey, number>
  /** What is left of the operation under way. */
  rest: (() => void)[]
}

export class MemoryLog {
  readonly recorder = new HistoryRecorder()
  readonly random: Random
  readonly logs = new Map<HistoryKey, SeenRecord[]>(KEYS.map((key) => [key, []]))
  readonly #nextOffsets = new Map<HistoryKey, number>(KEYS.map((key) => [key, 0]))
  /** Writes whose clients have given up on them. */
  readonly #late: (() => void)[] = []
  #nextValue = 0
  #nowMs = 0

  constructor(random: Random) {
    this.random = random
  }

  nextValue(): string {
    return `v${this.#nextValue++}`
  }

  /** The next offset of a key; some stay unused, as those of markers do. */
  nextOffset(key: HistoryKey): number {
    const offset = this.#nextOffsets.get(key)! + (this.random.below(5) === 0 ? 1 : 0)
    this.#nextOffsets.set(key, offset + 1)
    return offset
  }

  append(key: HistoryKey, value: string): number {
    const offset = this.nextOffset(key)
    this.logs.get(key)!.push([offset, value])
    return offset
  }

  /** Takes one operation from its beginning to its end. */
  run(process: number, operation: HistoryOperation, type: Type = 'ok'): void {
    this.complete(this.invoke(process, asInvoked(operation)), operation, type)
  }

  invoke(process: number, operation: HistoryOperation): Invocation {
    return this.recorder.invoke({ process, timeMs: this.#nowMs++, operation })
  }

  complete(invocation: Invocation, operation: HistoryOperation, type: Type): void {
    this.recorder.complete(invocation, { type, timeMs: this.#nowMs++, operation })
  }

  /** A send that is acknowledged. @returns where it stands. */
  send(key: HistoryKey, value = this.nextValue(), process = this.recorder.newProcess()): SeenRecord {
    const offset = this.append(key, value)
    this.run(process, { f: 'send', steps: [['send', key, value, offset]] })
    return [offset, value]
  }

  poll(process: number, reads: Readonly<Record<HistoryKey, readonly SeenRecord[]>>, type: Type = 'ok'): void {
    this.run(process, { f: 'poll', steps: [['poll', reads]] }, type)
  }

  /** A process that reads the key from its beginning. */
  reader(key: HistoryKey): number {
    const process = this.recorder.newProcess()
    this.run(process, { f: 'assign', keys: [key], seekToBeginning: true })
    return process
  }

  /** Random work of several clients, each step of one of them at a time. */
  work(steps: number): void {
    const clients = (['producer', 'producer', 'producer', 'consumer', 'consumer'] as const).map(
      (kind): Client => ({
        process: this.recorder.newProcess(),
        kind,
        keys: [],
        positions: new Map(),
        rest: [],
      }),
    )
    for (let i = 0; i < steps; i++) {
      const client = clients[this.random.below(clients.length)]!
      const next = client.rest.shift()
      if (next !== undefined) next()
      else if (client.kind === 'producer') this.#beginSend(client)
      else this.#beginRead(client)
      if (this.#late.length > 0 && this.random.below(4) === 0) this.#late.shift()!()
    }
    for (const { rest } of clients) for (const next of rest) next()
    for (const write of this.#late) write()
  }

  /** Everything is read once more, as in JEP-2. */
  finalPhase(): void {
    this.run(this.recorder.newProcess(), { f: 'final-phase' })
    for (const key of KEYS) {
      const process = this.reader(key)
      const log = this.logs.get(key)!
      for (let at = 0; at < log.length; at += 2) this.poll(process, { [key]: log.slice(at, at + 2) })
    }
  }

  #beginSend(client: Client): void {
    const key = this.#anyKey()
    const values = Array.from({ length: 1 + this.random.below(3) }, () => this.nextValue())
    const invoked = { f: 'send', steps: values.map((value): SendStep => ['send', key, value]) } as const
    const invocation = this.invoke(client.process, invoked)
    let completed: HistoryOperation = invoked
    let write = (): void => {
      const steps = values.map((value): SendStep => ['send', key, value, this.append(key, value)])
      completed = { f: 'send', steps }
    }
    const chance = this.random.below(20)
    const type = chance < 14 ? 'ok' : chance < 17 ? 'fail' : 'info'
    if (type === 'fail') write = () => {}
    if (type === 'info') {
      // It took place unnoticed, takes place later, or never.
      if (chance === 18) this.#late.push(write)
      if (chance !== 17) write = () => {}
    }
    client.rest.push(write, () => {
      this.complete(invocation, type === 'info' ? invoked : completed, type)
      if (type === 'info') client.process = this.recorder.newProcess()
    })
  }

  #beginRead(client: Client): void {
    const chance = this.random.below(16)
    if (client.keys.length === 0 || chance === 0) this.#assign(client)
    else if (chance === 1) this.#crash(client)
    else this.#beginPoll(client, chance === 2 ? 'fail' : 'ok')
  }

  #assign(client: Client): void {
    const seekToBeginning = this.random.below(3) === 0
    client.keys = KEYS.filter(() => this.random.below(2) === 0)
    for (const key of client.keys) if (seekToBeginning) client.positions.delete(key)
    this.run(client.process, {
      f: 'assign',
      keys: client.keys,
      ...(seekToBeginning ? { seekToBeginning } : {}),
    })
  }

  #crash(client: Client): void {
    this.run(client.process, { f: 'crash' }, 'info')
    client.process = this.recorder.newProcess()
    client.keys = []
    client.positions.clear()
  }

  #beginPoll(client: Client, type: Type): void {
    const invocation = this.invoke(client.process, { f: 'poll', steps: [['poll']] })
    let reads: Readonly<Record<HistoryKey, readonly SeenRecord[]>> = {}
    const read = (): void => {
      const records = client.keys.map((key) => [key, this.#read(client, key)] as const)
      reads = Object.fromEntries(records.filter(([, seen]) => seen.length > 0))
    }
    client.rest.push(read, () => {
      this.complete(invocation, { f: 'poll', steps: [['poll', reads]] }, type)
      if (type !== 'ok') return
      for (const [key, seen] of Object.entries(reads)) client.positions.set(key, seen.at(-1)![0] + 1)
    })
  }

  #read({ positions }: Client, key: HistoryKey): readonly SeenRecord[] {
    const from = positions.get(key) ?? 0
    const rest = this.logs.get(key)!.filter(([offset]) => offset >= from)
    return rest.slice(0, this.random.below(POLL_RECORDS_MAX + 1))
  }

  #anyKey(): HistoryKey {
    return KEYS[this.random.below(KEYS.length)]!
  }
}

function asInvoked(operation: HistoryOperation): HistoryOperation {
  if (!('steps' in operation)) return operation
  const { f, steps } = operation
  return { f, steps: steps.map((step) => (step[0] === 'poll' ? ['poll'] : ['send', step[1], step[2]])) }
}
