import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import { checkTopicName } from '../../src/model/topic-name.ts'

function refusal(name: string): VltavaError {
  try {
    checkTopicName(name)
  } catch (error) {
    if (error instanceof VltavaError) return error
    throw error
  }
  throw new Error(`${name} was accepted`)
}

describe('checkTopicName', () => {
  it.each(['a', 'orders', 'Orders.v2_eu-west', '0', '_single', '...', 'a-', 'x'.repeat(249)])(
    '%s -> accepted as it is',
    (name) => {
      expect(checkTopicName(name)).toBe(name)
    },
  )

  it.each([
    ['', /empty/],
    ['x'.repeat(250), /250 characters; at most 249/],
    ['a b', /only a-z A-Z 0-9/],
    ['a/b', /only a-z A-Z 0-9/],
    ['../etc', /only a-z A-Z 0-9/],
    ['a\n', /only a-z A-Z 0-9/],
    ['\u0000', /only a-z A-Z 0-9/],
    ['čeština', /only a-z A-Z 0-9/],
    ['.', /not allowed/],
    ['..', /not allowed/],
    ['-rf', /must not start with "-"/],
    ['__consumer_offsets', /reserved/],
  ])('%j -> INVALID_TOPIC that says why', (name, why) => {
    const error = refusal(name)
    expect(error.code).toBe('INVALID_TOPIC')
    expect(error.message).toMatch(why)
  })

  it('a long name with control characters -> a message of bounded length on one line', () => {
    const { message } = refusal(`\n${'\u001b'.repeat(5000)}`)
    expect(message.length).toBeLessThan(600)
    expect(message).toMatch(/^\P{Cc}+$/u)
  })
})
