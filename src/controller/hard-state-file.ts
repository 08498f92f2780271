// Term and vote on disk: metadata/hard-state. A node that forgets its vote can vote twice in one term, so whatever is
// wrong with the file stops the node instead of starting it with an empty one (RAFT-02).
import { VltavaError } from '../model/errors.ts'
import type { HardState } from '../raft/types.ts'
import { AtomicFile, isCount, isObject } from '../storage/atomic-file.ts'
import { joinPath } from '../storage/file-system.ts'
import type { ControllerEnvironment } from './controller-environment.ts'

const NEW_NODE: HardState = { term: 0, votedFor: null }

export class HardStateFile {
  readonly #file: AtomicFile

  constructor(environment: ControllerEnvironment, metadataPath: string) {
    this.#file = new AtomicFile({
      ...environment,
      path: joinPath(metadataPath, 'hard-state'),
      format: 'hard-state',
      version: 1,
    })
  }

  /** Stores "no term, no vote yet" before the node becomes a voter; keeps what is there. */
  async prepare(): Promise<void> {
    const content = await this.#file.read()
    if (content.status === 'absent') await this.write(NEW_NODE)
  }

  /** @throws VltavaError STORAGE_ERROR when the file of a voter is missing or cannot be read. */
  async read(): Promise<HardState> {
    const content = await this.#file.read()
    switch (content.status) {
      case 'ok':
        return this.#parse(content.data)
      case 'absent':
        throw this.#refusal('is missing')
      case 'newer':
        throw this.#refusal(`has version ${content.version}, which a later release wrote`)
      case 'damaged':
        throw this.#refusal(`is damaged: ${content.reason}`)
    }
  }

  /** Durable when it resolves; after a crash at any point the old or the new state is there. */
  async write({ term, votedFor }: HardState): Promise<void> {
    await this.#file.write({ term, votedFor })
  }

  #parse(data: unknown): HardState {
    if (isObject(data)) {
      const { term, votedFor } = data as { readonly term?: unknown; readonly votedFor?: unknown }
      if (isCount(term) && (votedFor === null || isCount(votedFor))) return { term, votedFor }
    }
    throw this.#refusal('does not hold a term and a vote')
  }

  #refusal(problem: string): VltavaError {
    const detail =
      `${this.#file.path} ${problem}. Without it this node could vote twice in one term, so it does not start. ` +
      'Restore the file, or start with an empty data directory: the node then comes back without a vote.'
    return new VltavaError('STORAGE_ERROR', detail, { definite: true, retriable: false })
  }
}
