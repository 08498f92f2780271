import { INT32_MAX } from '../model/id-schemas.ts'
import { UsageError } from './terminal.ts'
import { parseInteger } from './text-options.ts'

/** "orders/3" as a topic and a partition. @throws UsageError */
export function partitionNameOf(name: string): { readonly topic: string; readonly partition: number } {
  const at = name.lastIndexOf('/')
  if (at < 1) {
    throw new UsageError(`name the partition as topic/number, such as orders/0, got ${JSON.stringify(name)}`)
  }
  const option = 'the partition behind the /'
  return {
    topic: name.slice(0, at),
    partition: parseInteger(name.slice(at + 1), { option, min: 0, max: INT32_MAX }),
  }
}
