// Whatever faults happen in whatever order: a channel is a stream that loses nothing in the middle, repeats nothing and
// ends once; nobody is left behind with half of a channel; and a seed gives the same run again.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type NetworkCounts, zeroCounts } from '../../../src/testing/network/network-counts.ts'
import { type End, RandomRun, steps } from './random-run.ts'

/** An end has received the first messages of one other end. Returns how many, and whose. */
function streamOf({ probe }: End): { readonly received: number; readonly sender: number | undefined } {
  const views = probe.messages.map(({ buffer, byteOffset }) => new DataView(buffer, byteOffset))
  expect(views.map((view) => view.getUint32(4))).toEqual(views.map((_, i) => i))
  const senders = new Set(views.map((view) => view.getUint32(0)))
  expect(senders.size).toBeLessThanOrEqual(1)
  expect(probe.closes.length).toBeLessThanOrEqual(1)
  return { received: views.length, sender: [...senders][0] }
}

describe('simulated network: any faults', () => {
  it('streams: whatever happens -> in order, without gaps, from one sender, ended once, at both ends', async () => {
    const totals: NetworkCounts = zeroCounts()
    let openChannels = 0
    const property = fc.asyncProperty(fc.integer(), steps, async (seed, list) => {
      const run = new RandomRun(seed)
      const { network } = run.parties
      await run.all(list)
      await run.comeToRest()
      // Those that are still open can talk: two ends of one channel each.
      const open = run.openEnds
      for (const end of open) run.send(end, 8)
      await run.parties.advance(10_000)
      expect(run.openEnds).toEqual(open)
      expect(open.length).toBe(2 * network.openChannels)
      for (const end of run.ends) {
        const { received, sender } = streamOf(end)
        if (open.includes(end)) expect(received).toBe(run.ends[sender!]!.sent)
        else if (sender !== undefined) expect(received).toBeLessThanOrEqual(run.ends[sender]!.sent)
      }
      expect(network.pendingDials).toBe(0)
      openChannels += network.openChannels
      for (const key of Object.keys(totals) as (keyof NetworkCounts)[]) totals[key] += network.counts[key]
    })
    await fc.assert(property, { numRuns: 200, seed: 1 })
    // Each kind of effect was among them, or the property says nothing about it.
    expect(Object.entries(totals).filter(([, count]) => count === 0)).toEqual([])
    expect(openChannels).toBeGreaterThan(0)
  })

  it('same seed, same steps -> the same events at the same times; another seed -> others', async () => {
    const property = fc.asyncProperty(steps, async (list) => {
      const events: (readonly string[])[] = []
      for (const seed of [7, 7, 8]) {
        const run = new RandomRun(seed)
        await run.all(list)
        await run.comeToRest()
        events.push(run.parties.events)
      }
      expect(events[1]).toEqual(events[0])
      if (events[0]!.some((event) => event.includes(' open '))) expect(events[2]).not.toEqual(events[0])
    })
    await fc.assert(property, { numRuns: 20, seed: 2 })
  })
})
