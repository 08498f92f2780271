// The latest record of each key, as the files of one replica hold it now.
import { toBase64Url } from '../../../base/bytes.ts'
import type { TopicPartition } from '../../../model/ids.ts'
import { batchSizeOf, HEADER_BYTES, nextOffsetOf } from '../../../record/batch-format.ts'
import { visitRecords } from '../../../record/batch-reader.ts'
import type { MemoryFileSystem } from '../../../storage/memory-file-system.ts'

/**
 * @param of `dataDir`: of the node; the records from one offset up to another, exclusive.
 * @returns by key, the offset and the value as text; records without a key are left out.
 */
export function latestRecords(
  fileSystem: MemoryFileSystem,
  of: TopicPartition & { readonly dataDir: string; readonly from: number; readonly to: number },
): ReadonlyMap<string, string> {
  const latest = new Map<string, string>()
  const path = `${of.dataDir}/topics/${of.topicId}/${of.partition}`
  let endOffset = 0
  for (const name of fileSystem.peekNames(path).filter((file) => file.endsWith('.log'))) {
    const bytes = fileSystem.peek(`${path}/${name}`)!
    for (let position = 0; position + HEADER_BYTES <= bytes.length; ) {
      const sizeBytes = batchSizeOf(bytes, position)
      if (sizeBytes < HEADER_BYTES || position + sizeBytes > bytes.length) break
      const nextOffset = nextOffsetOf(bytes, position)
      if (nextOffset > of.to) break
      if (nextOffset > endOffset) {
        endOffset = nextOffset
        visitRecords(bytes.subarray(position, position + sizeBytes), (record) => {
          const [key, value] = [record.key(), record.value()]
          if (key === null || record.offset < of.from) return
          latest.set(toBase64Url(key), `${record.offset} ${value === null ? 'deleted' : toBase64Url(value)}`)
        })
      }
      position += sizeBytes
    }
  }
  return latest
}
