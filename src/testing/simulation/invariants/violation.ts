/** An invariant does not hold. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
  /** As in the catalogue: INV-7, CHK-19. */
  readonly invariant: string

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`)
    this.invariant = invariant
  }
}

/** @throws InvariantViolation unless the condition holds; the detail is made only then. */
export function demand(condition: boolean, invariant: string, detail: () => string): void {
  if (!condition) throw new InvariantViolation(invariant, detail())
}
