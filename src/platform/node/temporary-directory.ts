import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @returns the path of a new, empty directory. */
export function makeTemporaryDirectory(prefix: string): Promise<string> {
  return mkdtemp(join(tmpdir(), prefix))
}

/** Removes a directory with all that is in it. */
export function removeTemporaryDirectory(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true })
}
