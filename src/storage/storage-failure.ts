// A failed fsync fails the whole data directory at once: nobody can say which bytes reached the disk, and a retry that
// succeeds proves nothing (STO-12). The latch is what everything in one directory shares to learn that.
import { VltavaError } from '../model/errors.ts'
import { fileErrorCodeOf, isPassing } from './file-system.ts'

/** Trips once, for good. */
export class StorageFailure {
  readonly #listeners = new Set<(error: unknown) => void>()
  #cause: { readonly error: unknown } | null = null

  get isTripped(): boolean {
    return this.#cause !== null
  }

  /** The first call tells every listener; later ones change nothing. */
  trip(error: unknown): void {
    if (this.#cause !== null) return
    this.#cause = { error }
    for (const listener of [...this.#listeners]) listener(error)
    this.#listeners.clear()
  }

  /** @returns a function that ends the subscription. */
  onTrip(listener: (error: unknown) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What an operation that was under way is answered with: it may or may not have reached the disk. */
  indefiniteError(): VltavaError {
    return this.#errorOf({ definite: false })
  }

  /** @throws VltavaError STORAGE_ERROR, definite, when the directory has failed. */
  check(): void {
    if (this.#cause !== null) throw this.#errorOf({ definite: true })
  }

  #errorOf({ definite }: { definite: boolean }): VltavaError {
    const message =
      'The data directory failed and takes no more writes; check the disk, then restart the broker.'
    return new VltavaError('STORAGE_ERROR', message, { cause: this.#cause?.error, definite })
  }
}

/** Whether what a log or a directory threw came about because something was used up: the same can succeed later. */
export function isPassingFailure(thrown: unknown): boolean {
  return isPassing(thrown) || (thrown instanceof VltavaError && isPassing(thrown.cause))
}

/** Whether an operator can mend the reason while the node runs: something is used up, or a path is not permitted. */
export function isMendable(thrown: unknown): boolean {
  const code = fileErrorCodeOf(thrown instanceof VltavaError ? thrown.cause : thrown)
  return isPassingFailure(thrown) || code === 'EACCES' || code === 'EPERM'
}

/** What a file operation threw, as an error of the table; a VltavaError, damage and a bug stay what they are. */
export function storageError(thrown: unknown): unknown {
  if (thrown instanceof VltavaError || fileErrorCodeOf(thrown) === undefined) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new VltavaError('STORAGE_ERROR', message, { cause: thrown })
}
