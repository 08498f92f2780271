import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { failureOf } from '../../src/testing/recording/recorded-process.ts'

/** After these, records may have been appended, or may be later. */
const INDEFINITE: readonly ErrorName[] = [
  'UNKNOWN_SERVER_ERROR',
  // A leader can lose its role after the append (KAFKA-13574).
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'STORAGE_ERROR',
  'CONNECTION_LOST',
]

/** After these, surely nothing was appended. */
const DEFINITE: readonly ErrorName[] = [
  'OFFSET_OUT_OF_RANGE',
  'CORRUPT_MESSAGE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'MESSAGE_TOO_LARGE',
  'INVALID_TOPIC',
  'NOT_ENOUGH_REPLICAS',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
  'TOPIC_ALREADY_EXISTS',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'NOT_CONTROLLER',
  'INVALID_REQUEST',
  'POLICY_VIOLATION',
  'OPERATION_NOT_ATTEMPTED',
  'FETCH_SESSION_ID_NOT_FOUND',
  'INVALID_FETCH_SESSION_EPOCH',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'STALE_BROKER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'INVALID_RECORD',
  'INVALID_UPDATE_VERSION',
  'UNKNOWN_TOPIC_ID',
  'DUPLICATE_BROKER_REGISTRATION',
  'BROKER_ID_NOT_REGISTERED',
  'INCONSISTENT_CLUSTER_ID',
  'INELIGIBLE_REPLICA',
  'NEW_LEADER_ELECTED',
  'PROTOCOL_VIOLATION',
  'AUTHENTICATION_FAILED',
  'SERVER_BUSY',
  'BROKER_FENCED',
  'SHUTTING_DOWN',
  'CONNECTION_FAILED',
  // What makes it says so where a request was sent before.
  'DELIVERY_TIMEOUT',
  'BOOTSTRAP_UNREACHABLE',
  'RECORD_TOO_LARGE',
  'BUFFER_FULL',
  'CLOSED',
  'INVALID_ARGUMENT',
  'DISK_FULL',
  'ELECTION_NOT_NEEDED',
  'ELIGIBLE_LEADERS_NOT_AVAILABLE',
  'PREFERRED_LEADER_NOT_AVAILABLE',
  'LOG_TRUNCATED',
  'POSITION_OUT_OF_RANGE',
  'SNAPSHOT_NOT_FOUND',
  'INVALID_REPLICA_ASSIGNMENT',
  'REASSIGNMENT_IN_PROGRESS',
  'NO_REASSIGNMENT_IN_PROGRESS',
  'DUPLICATE_VOTER',
  'VOTER_NOT_FOUND',
  'VOTER_NOT_READY',
  'QUORUM_AT_RISK',
]

describe('errors as outcomes', () => {
  it('CHK-0: every error code -> stands in one of the two lists, and in one only', () => {
    const listed = [...INDEFINITE, ...DEFINITE]
    expect([...listed].sort()).toEqual(Object.keys(ERRORS).sort())
  })

  it.each(INDEFINITE)('CHK-0: %s -> indefinite, recorded as info', (name) => {
    expect(ERRORS[name].definite).toBe(false)
    expect(failureOf(new VltavaError(name)).type).toBe('info')
  })

  it.each(DEFINITE)('CHK-0: %s -> definite, recorded as fail', (name) => {
    expect(ERRORS[name].definite).toBe(true)
    expect(failureOf(new VltavaError(name)).type).toBe('fail')
  })

  it('CHK-0: an error that knows better than its code, and one that is not ours -> info', () => {
    expect(failureOf(new VltavaError('DELIVERY_TIMEOUT', 'sent', { definite: false })).type).toBe('info')
    expect(failureOf(new TypeError('x is undefined'))).toMatchObject({
      type: 'info',
      error: { code: 'UNKNOWN_SERVER_ERROR' },
    })
  })
})
