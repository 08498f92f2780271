// Which events may follow each other: a process does one operation at a time, and what completes is what was invoked.
// The recorder, the reader of files and the checker all hold histories against the same rules.
import type { HistoryEvent, HistoryOperation, HistoryStep } from './history.ts'

export class HistoryPairing {
  /** By process. */
  readonly #open = new Map<number, HistoryEvent>()
  #nextIndex = 0
  #lastTimeMs = Number.NEGATIVE_INFINITY

  /** Operations that were invoked and have not completed, by process. */
  get open(): ReadonlyMap<number, HistoryEvent> {
    return this.#open
  }

  /** Takes the next event. @returns what is wrong with it, as the rest of a sentence; null when it fits. */
  add(event: HistoryEvent): string | null {
    const problem = this.#orderProblem(event) ?? this.#pairProblem(event)
    if (problem !== null) return problem
    this.#nextIndex++
    this.#lastTimeMs = event.timeMs
    if (event.type === 'invoke') this.#open.set(event.process, event)
    else this.#open.delete(event.process)
    return null
  }

  #orderProblem({ index, timeMs }: HistoryEvent): string | null {
    if (index !== this.#nextIndex)
      return `its index must be ${this.#nextIndex}, got ${index}: events are missing`
    if (timeMs >= this.#lastTimeMs) return null
    return `its time is ${timeMs} ms, and the event before it has ${this.#lastTimeMs} ms: time never goes back`
  }

  #pairProblem({ process, type, operation }: HistoryEvent): string | null {
    const invoked = this.#open.get(process)
    if (type === 'invoke') {
      if (invoked === undefined) return null
      return `process ${process} invokes ${operation.f}, but its ${invoked.operation.f} (event ${invoked.index}) has not completed`
    }
    if (invoked === undefined) {
      return `process ${process} completes ${operation.f} as ${type}, but it has invoked nothing`
    }
    const difference = differenceOf(invoked.operation, operation)
    if (difference === null) return null
    return `process ${process} completes another operation than it invoked (event ${invoked.index}): ${difference}`
  }
}

function differenceOf(invoked: HistoryOperation, completed: HistoryOperation): string | null {
  if (invoked.f !== completed.f) return `${invoked.f} became ${completed.f}`
  if ('keys' in invoked && 'keys' in completed) {
    const isSame =
      invoked.keys.length === completed.keys.length &&
      invoked.keys.every((key, i) => key === completed.keys[i]) &&
      (invoked.seekToBeginning ?? false) === (completed.seekToBeginning ?? false)
    return isSame ? null : 'the keys differ'
  }
  if (!('steps' in invoked && 'steps' in completed)) return null
  if (invoked.steps.length !== completed.steps.length) {
    return `${invoked.steps.length} steps became ${completed.steps.length}`
  }
  const at = completed.steps.findIndex((step, i) => !isSameStep(invoked.steps[i]!, step))
  return at === -1 ? null : `step ${at + 1} differs`
}

/** Whether it is the same request; what it brought (offsets, records) comes with the completion. */
function isSameStep(invoked: HistoryStep, completed: HistoryStep): boolean {
  if (invoked[0] === 'poll' || completed[0] === 'poll') return invoked[0] === completed[0]
  return invoked[1] === completed[1] && invoked[2] === completed[2]
}
