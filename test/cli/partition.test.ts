import { describe, expect, it } from 'vitest'
import { electionOf, UNCLEAN_RISK } from '../../src/cli/partition.ts'
import { UsageError } from '../../src/cli/terminal.ts'
import { whyOffline } from '../../src/client/cluster-view.ts'

describe('vltava partition elect', () => {
  it.each([
    [{ preferred: true }, { kind: 'preferred' }],
    [{ to: '2' }, { kind: 'replica', replica: 2 }],
    [
      { unclean: true, yes: true },
      { kind: 'unclean', replica: null },
    ],
    [
      { unclean: true, to: '3', yes: true },
      { kind: 'unclean', replica: 3 },
    ],
  ])('%j -> %j', (options, election) => {
    expect(electionOf(options)).toEqual(election)
  })

  it('an unclean election without --yes -> refused, with the risk in words', () => {
    expect(() => electionOf({ unclean: true })).toThrow(new UsageError(UNCLEAN_RISK))
    expect(UNCLEAN_RISK).toMatch(/lost for good/)
  })

  it.each([{}, { preferred: true, to: '2' }, { preferred: true, unclean: true, yes: true }, { yes: true }])(
    '%j -> says what to give',
    (options) => {
      expect(() => electionOf(options)).toThrow(/give one of --preferred, --to <broker> or --unclean/)
    },
  )
})

describe('a partition without a leader, in words', () => {
  const none = { isr: [], elr: [], lastKnownElr: [], cutOff: [] }
  const state = {
    partition: 0,
    leader: null,
    leaderEpoch: 1,
    partitionEpoch: 1,
    replicas: [1, 2, 3],
    ...none,
  }

  it('somebody is eligible -> names whom it waits for', () => {
    const elr = [1, 2]
    expect(whyOffline({ ...state, isr: [], elr, lastKnownElr: [3] })).toBe(
      'offline partition: waiting for brokers [1, 2] (ELR)',
    )
  })

  it('the log of one was cut off -> names the others', () => {
    expect(whyOffline({ ...state, elr: [1, 2], cutOff: [1] })).toBe(
      'offline partition: waiting for brokers [2] (ELR); the logs of [1] were cut off at an unclean start, and the longest leads ' +
        'once all of the ELR were',
    )
  })

  it('the logs of all were -> waits for the longest', () => {
    expect(whyOffline({ ...state, elr: [1, 2], cutOff: [2, 1] })).toMatch(
      /all brokers \[1, 2\] \(ELR\) were cut off .*; waiting for the one with the longest log/,
    )
  })

  it('nobody is -> names who was, and what an operator can do', () => {
    const words = whyOffline({ ...state, isr: [], elr: [], lastKnownElr: [3, 1] })
    expect(words).toMatch(/Brokers \[3, 1\] were the last that did; an operator can .* --unclean/)
  })
})
