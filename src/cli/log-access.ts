import { fileErrorCodeOf } from '../storage/file-system.ts'
import { UsageError } from './terminal.ts'

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'is a file, not a directory; give the directory it lies in',
  EISDIR: 'is a directory, not a file',
  EACCES: 'may not be read by this user; run the command as the user of the node',
  EPERM: 'may not be read by this user; run the command as the user of the node',
}

/** Runs something that reads files and turns what a person can correct into a UsageError with the path. */
export async function explainingAccess<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const problem = PROBLEMS[fileErrorCodeOf(error) ?? '']
    if (problem === undefined || !(error instanceof Error)) throw error
    const named = 'path' in error && typeof error.path === 'string' ? error.path : path
    throw new UsageError(`${named}: ${problem}`)
  }
}
