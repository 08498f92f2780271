import { describe, expect, it } from 'vitest'
import { DeliveryHistory } from '../../src/client/delivery-history.ts'
import { retryAction } from '../../src/client/retry.ts'
import { ERRORS, type ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'

const TARGET = { topic: 'orders', partition: 3 }
const NAMES = Object.keys(ERRORS) as ErrorName[]

/** What happens to a batch: tried with this error, tried without an answer, or not even sent. */
type Step = ErrorName | 'under way' | 'not sent'

function historyOf(steps: readonly Step[]): DeliveryHistory {
  const history = new DeliveryHistory()
  for (const step of steps) {
    if (step === 'not sent') {
      history.couldNotSend(new VltavaError('CONNECTION_FAILED', 'refused.'), 'broker 2 (ws://b:2)')
    } else {
      history.attemptStarted()
      if (step !== 'under way') history.attemptFailed(new VltavaError(step))
    }
  }
  return history
}

describe('delivery history', () => {
  it.each<[readonly Step[], boolean, string]>([
    [[], true, 'the outcome is definite: never sent'],
    [['not sent', 'not sent'], true, 'the outcome is definite: never sent'],
    [['SERVER_BUSY'], true, 'the outcome is definite: every attempt was refused'],
    [['not sent', 'NOT_ENOUGH_REPLICAS'], true, 'the outcome is definite: every attempt was refused'],
    [['under way'], false, 'the outcome is unknown: it was sent and may still appear'],
    [['REQUEST_TIMED_OUT', 'SERVER_BUSY'], false, 'the outcome is unknown: it was sent and may still appear'],
    [['SERVER_BUSY', 'CONNECTION_LOST'], false, 'the outcome is unknown: it was sent and may still appear'],
    [['NOT_ENOUGH_REPLICAS_AFTER_APPEND'], false, 'the outcome is unknown: it was sent and may still appear'],
  ])('CHK-0: %j -> definite %s, "%s"', (steps, definite, outcome) => {
    const history = historyOf(steps)
    expect(history.isDefinite).toBe(definite)
    const error = history.timeoutError(TARGET, 500)
    expect([error.code, error.definite]).toEqual(['DELIVERY_TIMEOUT', definite])
    expect(error.message).toMatch(
      /^Topic "orders" partition 3: not acknowledged within 500 ms \(deliveryTimeoutMs\)/,
    )
    expect(error.message.endsWith(`; ${outcome}.`)).toBe(true)
  })

  it('the text: attempts, the last error and the brokers that could not be reached, each once', () => {
    const error = historyOf(['SERVER_BUSY', 'not sent', 'not sent']).timeoutError(TARGET, 500)
    expect(error.message).toBe(
      'Topic "orders" partition 3: not acknowledged within 500 ms (deliveryTimeoutMs), after 1 attempt; ' +
        'the last error was CONNECTION_FAILED: refused; not reachable: broker 2 (ws://b:2); ' +
        'the outcome is definite: every attempt was refused.',
    )
    expect(error.cause).toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  it('CHK-0: every code of the table -> definite as the table says, and not once anything was indefinite', () => {
    for (const name of NAMES) {
      const { definite } = ERRORS[name]
      expect([name, historyOf([name]).isDefinite]).toEqual([name, definite])
      expect(historyOf(['REQUEST_TIMED_OUT', name]).isDefinite).toBe(false)
      const error = historyOf([name]).finalError(TARGET, new VltavaError(name))
      expect([error.code, error.definite, error.retriable]).toEqual([name, definite, ERRORS[name].retriable])
      expect(error.message.includes('the outcome is unknown')).toBe(!definite)
    }
  })
})

describe('retry action', () => {
  it('CHK-0: every code of the table has its rule', () => {
    const byAction: Record<string, ErrorName[]> = { fail: [], retry: [], refresh: [] }
    for (const name of NAMES) byAction[retryAction(new VltavaError(name))]!.push(name)
    expect(byAction).toEqual({
      retry: [
        'NOT_ENOUGH_REPLICAS',
        'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
        'OFFSET_NOT_AVAILABLE',
        'SERVER_BUSY',
        'VOTER_NOT_READY',
      ],
      refresh: NAMES.filter(
        (name) =>
          ERRORS[name].retriable &&
          ![
            'NOT_ENOUGH_REPLICAS',
            'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
            'OFFSET_NOT_AVAILABLE',
            'SERVER_BUSY',
            'VOTER_NOT_READY',
          ].includes(name),
      ),
      fail: NAMES.filter((name) => !ERRORS[name].retriable),
    })
    for (const name of [
      'NOT_LEADER_OR_FOLLOWER',
      'FENCED_LEADER_EPOCH',
      'UNKNOWN_TOPIC_ID',
      'CONNECTION_LOST',
    ] as const) {
      expect(byAction['refresh']).toContain(name)
    }
    for (const name of ['CORRUPT_MESSAGE', 'MESSAGE_TOO_LARGE', 'OFFSET_OUT_OF_RANGE'] as const) {
      expect(byAction['fail']).toContain(name)
    }
  })

  it('an error that overrides the table: its own word counts', () => {
    expect(retryAction(new VltavaError('SERVER_BUSY', 'never again', { retriable: false }))).toBe('fail')
  })
})
