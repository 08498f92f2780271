// The directories below topics/: one for each topic, by id, with one for each partition. Only these names are Vltava's;
// whatever else is there is left alone.
import { assert } from '../base/assert.ts'
import { toBase64Url } from '../base/bytes.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { TopicPartition } from '../model/ids.ts'
import { makeDurableDirectory, removeTree } from './file-io.ts'
import { type FileSystem, fileErrorCodeOf, isNotFound, joinPath } from './file-system.ts'

const TOPIC_ID = /^[A-Za-z0-9_-]{22}$/
const PARTITION = /^(0|[1-9]\d{0,9})$/
/** A partition that was deleted but whose files may still be there: `<partition>.<random>.deleted`. */
const DELETED = /^\d+\.[A-Za-z0-9_-]+\.deleted$/

export function isTopicName(name: string): boolean {
  return TOPIC_ID.test(name)
}

export function isPartitionName(name: string): boolean {
  return PARTITION.test(name)
}

export interface TopicDirectoriesOptions {
  readonly fileSystem: FileSystem
  /** The directory `topics`. */
  readonly path: string
  readonly random: Random
  readonly log: Log
}

export class TopicDirectories {
  readonly #options: TopicDirectoriesOptions

  constructor(options: TopicDirectoriesOptions) {
    this.#options = options
  }

  pathOf({ topicId, partition }: TopicPartition): string {
    return joinPath(this.#topicPath(topicId), String(partition))
  }

  /** Finds the partitions and finishes deletions that were cut off. */
  async scan(): Promise<TopicPartition[]> {
    const { fileSystem, path, log } = this.#options
    const found: TopicPartition[] = []
    // What a killed process made may not be durable yet, and appends to come rely on it.
    await makeDurableDirectory(fileSystem, path)
    await fileSystem.syncDirectory(path)
    for (const topic of await fileSystem.list(path)) {
      const topicPath = joinPath(path, topic.name)
      if (!topic.isDirectory || !isTopicName(topic.name)) {
        log.warn('unknown-file-left-alone', { path: topicPath })
        continue
      }
      await fileSystem.syncDirectory(topicPath)
      for (const { name, isDirectory } of await fileSystem.list(topicPath)) {
        const entryPath = joinPath(topicPath, name)
        if (isDirectory && isPartitionName(name)) found.push({ topicId: topic.name, partition: Number(name) })
        else if (isDirectory && DELETED.test(name)) await removeTree(fileSystem, entryPath)
        else log.warn('unknown-file-left-alone', { path: entryPath })
      }
      await this.#removeIfEmpty(topicPath)
    }
    return found
  }

  /** Makes the directory of a partition, durably. */
  make(partition: TopicPartition): Promise<void> {
    return makeDurableDirectory(this.#options.fileSystem, this.pathOf(partition))
  }

  /** Takes the directory of a partition out of the way, durably; @returns where its files are now. */
  async setDeleted(partition: TopicPartition): Promise<string | null> {
    const { fileSystem, random } = this.#options
    const path = this.pathOf(partition)
    const suffix = new Uint8Array(9)
    random.fill(suffix)
    const deletedPath = `${path}.${toBase64Url(suffix)}.deleted`
    try {
      await fileSystem.rename(path, deletedPath)
    } catch (error) {
      if (isNotFound(error)) return null
      throw error
    }
    await fileSystem.syncDirectory(this.#topicPath(partition.topicId))
    return deletedPath
  }

  /** Removes the files of a deleted partition, and the directory of its topic with the last one. */
  async removeDeleted(partition: TopicPartition, deletedPath: string): Promise<void> {
    await removeTree(this.#options.fileSystem, deletedPath)
    await this.#removeIfEmpty(this.#topicPath(partition.topicId))
  }

  async #removeIfEmpty(path: string): Promise<void> {
    try {
      await this.#options.fileSystem.removeDirectory(path)
    } catch (error) {
      const code = fileErrorCodeOf(error)
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error
    }
  }

  #topicPath(topicId: string): string {
    assert(isTopicName(topicId), `${topicId} is no topic id`)
    return joinPath(this.#options.path, topicId)
  }
}
