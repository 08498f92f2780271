/** One replacement of source text. */
export interface SourceEdit {
  /** Below the repository, such as `src/replication/isr.ts`. */
  readonly file: string
  /** What is replaced; it occurs exactly once in the file. */
  readonly text: string
  readonly replacement: string
}

/** A fault put into the product on purpose, to prove that the tests notice it (reliability catalogue, 7.1). */
export interface Mutant {
  /** As in the catalogue, with a letter behind it where one entry of it stands for several faults. */
  readonly id: string
  /** What the product does wrong, in a few words. */
  readonly name: string
  /** As the catalogue has it: what must notice. */
  readonly item: string
  /** One module is changed. */
  readonly edit: SourceEdit
  readonly killer: Killer
}

/** Who must notice. */
export type Killer = SimulationKiller | TestKiller

export interface SimulationKiller {
  readonly kind: 'simulation'
  /** What the failure of a run must show: the names of invariants and checks. */
  readonly expected: RegExp
  /**
   * `once` (the default): a run of a seed fails. `twice`: two runs of a seed in different processes must differ, one of
   * which had another seed before it (SIM-4); with nothing real taken away, so that this rule alone can notice.
   */
  readonly rule?: 'once' | 'twice'
  /** Whether a run that does not end counts as noticed. Default false. */
  readonly mayHang?: boolean
}

/** Tests of a part, for what a whole cluster hides behind a second line of defence or has no fault for. */
export interface TestKiller {
  readonly kind: 'tests'
  readonly files: readonly string[]
  /** Name of a test that must fail. */
  readonly expected: RegExp
  /** Why not the simulator. */
  readonly reason: string
}

/** An entry of the catalogue for which there is nothing to break yet. */
export interface WaitingMutant {
  readonly id: string
  readonly name: string
  readonly item: string
  readonly waitsFor: string
}
