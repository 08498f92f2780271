// The process port: who this process is, whether another one lives, and the one way to die.

/** Tells a process from a later one that got the same pid. */
export interface ProcessIdentity {
  /** Identifies the boot of the machine; a lock from an earlier boot is stale. */
  readonly bootId: string
  readonly pid: number
  /** The start time of the process as the kernel counts it; distinguishes re-used pids. */
  readonly startTime: string
}

export interface Process {
  readonly identity: ProcessIdentity
  /** Whether that process still runs on this machine. */
  isRunning(identity: ProcessIdentity): boolean
  /**
   * Ends the process because going on would be unsafe (a failed fsync, a broken invariant). Does not return to the
   * event loop in production; the in-memory process records the reason and stops its node.
   */
  fail(reason: string, error: unknown): void
}
