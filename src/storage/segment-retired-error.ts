/**
 * The segment has left the log: its records were deleted, cut off, or are in another one now, or the log was closed. Whoever
 * wanted to read it looks at the segments that there are now.
 */
export class SegmentRetiredError extends Error {
  override readonly name = 'SegmentRetiredError'

  /** @param path of its log file. */
  constructor(path: string) {
    super(`The segment ${path} has left the log.`)
  }
}
