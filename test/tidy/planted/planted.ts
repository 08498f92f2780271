/** Files that exist only as text, and what the rules of one name must say about them. */
export interface Planted {
  /** A key of RULES. */
  readonly rule: string
  /** `subject: condition -> outcome`. */
  readonly name: string
  readonly files: Readonly<Record<string, string>>
  /** As formatFinding prints them; empty where the files are as they should be. */
  readonly findings: readonly string[]
}
