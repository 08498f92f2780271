import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { never } from './fake-cluster.ts'
import { expectCleanClose, makeHarness, numbers, watch } from './harness.ts'
import { append } from './reading.ts'

const cpu = createNodeCpu(null)

const FETCH_FAULTS = [
  'none',
  'NOT_LEADER_OR_FOLLOWER',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_LEADER_EPOCH',
  'BROKER_FENCED',
  'connection breaks',
  'no answer',
  'leader moves',
] as const

const USER_STEPS = [
  'read',
  'read',
  'read',
  'pause',
  'resume',
  'leave and come back',
  'leader moves, hint',
  'wait',
] as const

const NOTHING = {
  highWatermark: 0,
  logStartOffset: 0,
  batchesBytes: 0,
  diverging: null,
} as const

describe('consumer: faults', () => {
  it('whatever fails and whatever the user does: every record once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...FETCH_FAULTS), { maxLength: 20 }),
        fc.array(fc.constantFrom(...USER_STEPS), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 10 }),
        async (faults, steps, sizes) => {
          const harness = await makeHarness()
          const { clock, cluster, client } = harness
          const topic = cluster.addTopic('orders', [1, 2])
          const left = [...faults]
          for (const broker of cluster.brokers.values()) {
            broker.onFetch = (call) => {
              const fault = left.shift() ?? 'none'
              if (fault === 'none') return undefined
              if (fault === 'connection breaks') broker.breakConnections()
              if (fault === 'connection breaks' || fault === 'no answer') return never()
              if (fault === 'leader moves') {
                cluster.moveLeader(topic, 0, (broker.id % 3) + 1)
                return undefined
              }
              const partitions = call.body.partitions.map(() => ({
                ...NOTHING,
                error: wireError(fault as ErrorName),
              }))
              return { body: { ...NO_SESSION_ANSWER, partitions } }
            }
          }
          const consumer = client.consumer({
            topic: 'orders',
            from: 'beginning',
            requestTimeoutMs: 1_000,
            maxBufferedBytes: 65_536,
            maxPartitionBytes: 1_024,
          })
          const read: string[][] = [[], []]
          let iterator = consumer[Symbol.asyncIterator]()
          const take = async (): Promise<void> => {
            const next = watch(iterator.next())
            for (let i = 0; i < 40 && next.state === 'pending'; i++) await clock.run(250)
            expect(next.state).toBe('done')
            const { partition, value, offset } = next.value.value!
            expect(offset).toBe(read[partition]!.length)
            read[partition]!.push(cpu.decodeUtf8(value!))
          }
          const written = [0, 0]
          const write = (partition: number, size: number): void => {
            append(topic.partitions[partition]!, numbers(written[partition]!, written[partition]! + size))
            written[partition]! += size
          }
          for (const [i, size] of sizes.entries()) write(i % 2, size)
          for (const step of steps) {
            if (step === 'read' && read.flat().length < written[0]! + written[1]!) {
              consumer.resume()
              await take()
            }
            if (step === 'pause') consumer.pause([0])
            if (step === 'resume') consumer.resume()
            if (step === 'leave and come back') {
              await iterator.return!()
              iterator = consumer[Symbol.asyncIterator]()
            }
            if (step === 'leader moves, hint') {
              cluster.moveLeader(topic, 1, (topic.partitions[1]!.leader! % 3) + 1)
              cluster.hintAll(topic, [1])
            }
            if (step === 'wait') await clock.run(700)
          }
          consumer.resume()
          while (read[0]!.length < written[0]! || read[1]!.length < written[1]!) await take()
          expect(read).toEqual([numbers(0, written[0]!), numbers(0, written[1]!)])
          expect(consumer.health().progressing).toBe(true)
          await expectCleanClose(harness)
        },
      ),
      { seed: 17, numRuns: 60 },
    )
  })
})
