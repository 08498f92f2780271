import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorName, errorNameOf } from '../../src/model/error-codes.ts'
import { toVltavaError, VltavaError } from '../../src/model/errors.ts'

const NAMES = Object.keys(ERRORS) as ErrorName[]

describe('error table', () => {
  it('every row -> a number of its own, so that it can be found again', () => {
    expect(new Set(NAMES.map((name) => ERRORS[name].code)).size).toBe(NAMES.length)
    for (const name of NAMES) expect(errorNameOf(ERRORS[name].code)).toBe(name)
  })

  it('every row -> a 16-bit number, a whole sentence', () => {
    for (const name of NAMES) {
      const { code, message } = ERRORS[name]
      expect(Number.isInteger(code) && code >= -1 && code < 2 ** 15 && code !== 0).toBe(true)
      expect(message).toMatch(/^[A-Za-z].*\.$/)
    }
  })

  it('a number that a newer server may send -> UNKNOWN_SERVER_ERROR', () => {
    expect(errorNameOf(9999)).toBe('UNKNOWN_SERVER_ERROR')
  })

  // The numbers are those of org.apache.kafka.common.protocol.Errors.
  it.each([
    ['OFFSET_OUT_OF_RANGE', 1],
    ['CORRUPT_MESSAGE', 2],
    ['NOT_LEADER_OR_FOLLOWER', 6],
    ['MESSAGE_TOO_LARGE', 10],
    ['NOT_ENOUGH_REPLICAS', 19],
    ['FENCED_LEADER_EPOCH', 74],
    ['UNSUPPORTED_COMPRESSION_TYPE', 76],
    ['INVALID_RECORD', 87],
    ['UNKNOWN_TOPIC_ID', 100],
  ] as const)("%s -> Kafka's number %d", (name, code) => {
    expect(ERRORS[name].code).toBe(code)
  })

  it('CHK-0: errors after which a produce may still have happened -> indefinite', () => {
    for (const name of [
      'NOT_LEADER_OR_FOLLOWER',
      'REQUEST_TIMED_OUT',
      'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
      'CONNECTION_LOST',
      'UNKNOWN_SERVER_ERROR',
      'STORAGE_ERROR',
    ] as const) {
      expect(ERRORS[name].definite, name).toBe(false)
    }
  })
})

describe('VltavaError', () => {
  it("only a code -> the table's sentence and flags", () => {
    const error = new VltavaError('NOT_CONTROLLER')
    expect(error.message).toBe(ERRORS.NOT_CONTROLLER.message)
    expect([error.name, error.code, error.retriable, error.definite]).toEqual([
      'VltavaError',
      'NOT_CONTROLLER',
      true,
      true,
    ])
    expect('cause' in error).toBe(false)
  })

  it('a detail and options -> they win over the table', () => {
    const cause = new Error('socket closed')
    const error = new VltavaError('DELIVERY_TIMEOUT', 'sent, not answered', {
      cause,
      definite: false,
      retriable: true,
    })
    expect([error.message, error.definite, error.retriable]).toEqual(['sent, not answered', false, true])
    expect(error.cause).toBe(cause)
  })
})

describe('toVltavaError', () => {
  it('a VltavaError -> itself', () => {
    const error = new VltavaError('CLOSED')
    expect(toVltavaError(error)).toBe(error)
  })

  it('another error, or any value -> UNKNOWN_SERVER_ERROR with the original as cause', () => {
    const original = new TypeError('x is not a function')
    expect(toVltavaError(original)).toMatchObject({
      code: 'UNKNOWN_SERVER_ERROR',
      message: 'x is not a function',
      cause: original,
    })
    expect(toVltavaError('text')).toMatchObject({
      code: 'UNKNOWN_SERVER_ERROR',
      message: 'text',
      cause: 'text',
    })
  })
})
