import { type EvidenceOf, type Finding, findingOf, show } from './finding.ts'
import type { HistoryKey, HistoryValue } from './history.ts'

interface Promised {
  readonly value: HistoryValue
  isAcknowledged: boolean
}

/**
 * CHK-19: what was acknowledged or read stands in the log for ever, at its offset and unchanged. A simulator tells it of
 * every acknowledgement and every read as they happen, and holds each new leader's log against it.
 */
export class AckOracle {
  readonly #keys = new Map<HistoryKey, Map<number, Promised>>()

  /** @returns null as long as it agrees with everything before. */
  acked(key: HistoryKey, offset: number, value: HistoryValue): Finding<'ack-truth'> | null {
    return this.#promise(key, { offset, value, isAcknowledged: true })
  }

  /** @returns null as long as it agrees with everything before. */
  consumed(key: HistoryKey, offset: number, value: HistoryValue): Finding<'ack-truth'> | null {
    return this.#promise(key, { offset, value, isAcknowledged: false })
  }

  /**
   * What a log that clients may read from does not hold, though it was promised.
   * @param valueAt what stands at an offset; undefined: nothing.
   * @param options logStartOffset: below it, retention may have removed records. Default 0.
   */
  missingFrom(
    key: HistoryKey,
    valueAt: (offset: number) => HistoryValue | undefined,
    options: { readonly logStartOffset?: number } = {},
  ): readonly Finding<'ack-truth'>[] {
    const findings: Finding<'ack-truth'>[] = []
    for (const [offset, promised] of this.#keys.get(key) ?? []) {
      if (offset < (options.logStartOffset ?? 0)) continue
      const found = valueAt(offset)
      if (found !== promised.value)
        findings.push(brokenPromise(key, { offset, promised, found: found ?? null }))
    }
    return findings
  }

  #promise(key: HistoryKey, shown: { readonly offset: number } & Promised): Finding<'ack-truth'> | null {
    const { offset, value, isAcknowledged } = shown
    let offsets = this.#keys.get(key)
    if (offsets === undefined) {
      offsets = new Map()
      this.#keys.set(key, offsets)
    }
    const before = offsets.get(offset)
    if (before === undefined) offsets.set(offset, { value, isAcknowledged })
    else if (before.value !== value) return brokenPromise(key, { offset, promised: before, found: value })
    else before.isAcknowledged ||= isAcknowledged
    return null
  }
}

function brokenPromise(
  key: HistoryKey,
  broken: { readonly offset: number; readonly promised: Promised; readonly found: HistoryValue | null },
): Finding<'ack-truth'> {
  const { offset, promised, found } = broken
  const { value, isAcknowledged } = promised
  const promisedBy = isAcknowledged ? 'acknowledged' : 'consumed'
  const evidence: EvidenceOf['ack-truth'] = { offset, value, promisedBy, found }
  const now = found === null ? 'nothing stands there' : `${show(found)} stands there`
  const message = `${key}: ${show(value)} was ${promisedBy} at offset ${offset}, but ${now} now.`
  const report = { name: 'ack-truth', key, process: null, events: [], evidence, message } as const
  return findingOf(report, false) as Finding<'ack-truth'>
}
