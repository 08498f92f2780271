// An in-memory disk whose operations a test holds back, lets go and makes fail, one by one.
import { type Deferred, deferred } from '../../src/base/async/deferred.ts'
import {
  type Fault,
  type FileOperation,
  type FileOperationKind,
  MemoryFileSystem,
} from '../../src/storage/memory-file-system.ts'

export interface OperationPattern {
  readonly kind: FileOperationKind
  /** What the path ends with; default: any. */
  readonly path?: string
}

interface Held {
  readonly operation: FileOperation
  readonly gate: Deferred<Fault>
}

export class GatedDisk {
  readonly disk: MemoryFileSystem
  /** All operations so far, oldest first. */
  readonly operations: FileOperation[] = []
  readonly #held: Held[] = []
  readonly #arrivals = new Set<() => void>()
  #holds: OperationPattern[] = []
  #faults: { readonly pattern: OperationPattern; readonly fault: Fault; left: number }[] = []

  constructor() {
    this.disk = new MemoryFileSystem({ onOperation: (operation) => this.#onOperation(operation) })
  }

  /** From now on operations like this wait for `release`. */
  hold(pattern: OperationPattern): void {
    this.#holds.push(pattern)
  }

  /** The next operations like this meet the fault. */
  fail(pattern: OperationPattern, fault: Fault, times = 1): void {
    this.#faults.push({ pattern, fault, left: times })
  }

  /** Resolves when so many operations like this are held back. */
  async held(pattern: OperationPattern, count = 1): Promise<void> {
    while (this.#held.filter(({ operation }) => matches(operation, pattern)).length < count) {
      await new Promise<void>((resolve) => this.#arrivals.add(resolve))
    }
  }

  heldCount(pattern: OperationPattern): number {
    return this.#held.filter(({ operation }) => matches(operation, pattern)).length
  }

  /** Lets the oldest operation like this go on, with or without a fault, and then all that follows from it. */
  async release(pattern: OperationPattern, fault?: Fault): Promise<void> {
    const index = this.#held.findIndex(({ operation }) => matches(operation, pattern))
    if (index < 0) throw new Error(`no ${pattern.kind} is held back`)
    const [held] = this.#held.splice(index, 1)
    held!.gate.resolve(fault)
    await settled()
  }

  /** Holds back nothing new; what is held stays so. */
  holdNoMore(): void {
    this.#holds = []
  }

  /** Holds nothing back any more. */
  open(): void {
    this.holdNoMore()
    for (const { gate } of this.#held.splice(0)) gate.resolve(undefined)
  }

  count(pattern: OperationPattern): number {
    return this.operations.filter((operation) => matches(operation, pattern)).length
  }

  #onOperation(operation: FileOperation): Fault | Promise<Fault> {
    this.operations.push(operation)
    const faulty = this.#faults.find(({ pattern, left }) => left > 0 && matches(operation, pattern))
    if (faulty !== undefined) {
      faulty.left--
      return faulty.fault
    }
    if (!this.#holds.some((pattern) => matches(operation, pattern))) return undefined
    const gate = deferred<Fault>()
    this.#held.push({ operation, gate })
    for (const arrived of this.#arrivals) arrived()
    this.#arrivals.clear()
    return gate.promise
  }
}

function matches(operation: FileOperation, { kind, path = '' }: OperationPattern): boolean {
  return operation.kind === kind && operation.path.endsWith(path)
}

/** Resolves when everything that promises alone can do has been done: the in-memory disk waits for nothing else. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export function eio(): Error {
  return Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
}
