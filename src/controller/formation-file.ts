// What a node knows of the birth of its cluster, on disk: metadata/formation.
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { formationSchema } from '../protocol/quorum.ts'
import { type Infer, SchemaError } from '../schema/schema.ts'
import { AtomicFile, isObject } from '../storage/atomic-file.ts'
import { joinPath } from '../storage/file-system.ts'
import type { ControllerEnvironment } from './controller-environment.ts'

export type Formation = Infer<typeof formationSchema>

/** How this node belongs to its cluster. */
export interface Membership {
  readonly formation: Formation
  /** False for a directory that is not one of the voters, or that lost what it voted: it must never vote (RAFT-23). */
  readonly isVoter: boolean
}

export class FormationFile {
  readonly #file: AtomicFile

  constructor(environment: ControllerEnvironment, metadataPath: string) {
    this.#file = new AtomicFile({
      ...environment,
      path: joinPath(metadataPath, 'formation'),
      format: 'formation',
      version: 1,
    })
  }

  /** @throws VltavaError STORAGE_ERROR when the file is there but cannot be read: then nobody knows who may vote. */
  async read(): Promise<Membership | null> {
    const content = await this.#file.read()
    switch (content.status) {
      case 'absent':
        return null
      case 'ok':
        return this.#parse(content.data)
      case 'newer':
        throw this.#refusal(`has version ${content.version}, which a later release wrote; start that release`)
      case 'damaged':
        throw this.#refusal(
          `is damaged (${content.reason}); restore it, or start with an empty data directory`,
        )
    }
  }

  /** Durable when it resolves. */
  async write({ formation, isVoter }: Membership): Promise<void> {
    const { clusterId, voters } = formation
    const orderedVoters = voters.map(({ nodeId, directoryId }) => ({ nodeId, directoryId }))
    await this.#file.write({ clusterId, voters: orderedVoters, isVoter })
  }

  #parse(data: unknown): Membership {
    const { clusterId, voters, isVoter } = (isObject(data) ? data : {}) as Partial<
      Record<'clusterId' | 'voters' | 'isVoter', unknown>
    >
    if (typeof isVoter !== 'boolean' || !Array.isArray(voters))
      throw this.#refusal('does not hold a formation')
    const wireVoters = voters.map((voter: unknown) => (isObject(voter) ? Object.values(voter) : null))
    try {
      return { formation: formationSchema.decode([clusterId, wireVoters], 'formation'), isVoter }
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error
      throw this.#refusal(`does not hold a formation (${error.message})`)
    }
  }

  #refusal(problem: string): VltavaError {
    return new VltavaError('STORAGE_ERROR', `${this.#file.path} ${problem}.`, {
      definite: true,
      retriable: false,
    })
  }
}

export function voterIdsOf(formation: Formation): readonly NodeId[] {
  return formation.voters.map(({ nodeId }) => nodeId)
}
