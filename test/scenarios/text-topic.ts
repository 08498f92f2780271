// What scenarios on a cluster inside of this process do with a topic of texts.
import type { Client } from '../../src/client/client.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'

export const TOPIC = 't'

/** Sends all at once, and resolves when all are acknowledged. */
export async function send(client: Client, texts: readonly string[]): Promise<void> {
  const producer = client.producer()
  await Promise.all(texts.map((value) => producer.send({ topic: TOPIC, value })))
  await producer.close()
}

/** The texts of partition 0 from the beginning to what is committed when this is called. */
export async function readAll(client: Client): Promise<string[]> {
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
  const end = (await consumer.endOffsets()).get(0)!
  const values: string[] = []
  for await (const record of consumer) {
    values.push(new TextDecoder().decode(record.value!))
    if (record.offset + 1 === end) break
  }
  await consumer.close()
  return values
}

export type Until = (what: string, condition: () => boolean | Promise<boolean>) => Promise<void>

/**
 * Waits on the clock of a cluster until a condition holds.
 * @param options `despiteErrors`: a condition that throws does not hold yet; else its error ends the wait.
 */
export function waitingOn(
  cluster: () => TestCluster,
  options: { readonly despiteErrors: boolean } = { despiteErrors: false },
): Until {
  return async (what, condition) => {
    for (let i = 0; i < 4_000; i++) {
      try {
        if (await condition()) return
      } catch (error) {
        if (!options.despiteErrors) throw error
      }
      await new Promise<void>((resolve) => cluster().clock.setTimer(5, resolve))
    }
    throw new Error(`never: ${what}`)
  }
}
