// What the lock of a data directory says, for those who only look.
import type { Cpu } from '../base/cpu.ts'
import type { Process } from '../base/process.ts'
import { parseHolder } from './directory-lock.ts'
import { readSmallFile } from './file-io.ts'
import { type FileSystem, joinPath } from './file-system.ts'

const LOCK_NAME = 'lock'

/** The lock and the names that starters use on the way to it. */
export function isLockName(name: string): boolean {
  return name === LOCK_NAME || /^lock\.(after-)?[A-Za-z0-9_-]+(\.tmp)?$/.test(name)
}

/** @returns the pid of the running process that holds the lock of a data directory; null where there is none. */
export async function readLock(
  ports: {
    readonly fileSystem: FileSystem
    readonly cpu: Cpu
    readonly process: Pick<Process, 'isRunning'>
  },
  dataPath: string,
): Promise<number | null> {
  const bytes = await readSmallFile(ports.fileSystem, joinPath(dataPath, LOCK_NAME))
  const holder = bytes === null ? null : parseHolder(ports.cpu.decodeUtf8(bytes))
  return holder !== null && ports.process.isRunning(holder) ? holder.pid : null
}
