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
  /** Whether this directory is one of those with which the cluster was formed, and knows what it voted. */
  readonly isVoter: boolean
  /**
   * Whether it keeps the log and its votes: as one of these, or without a vote until it is given one. False for a directory
   * that may have lost what it voted: it must never vote (RAFT-23).
   */
  readonly takesPart: boolean
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
  async write({ formation, isVoter, takesPart }: Membership): Promise<void> {
    const { clusterId, voters } = formation
    const orderedVoters = voters.map(({ nodeId, directoryId }) => ({ nodeId, directoryId }))
    await this.#file.write({ clusterId, voters: orderedVoters, isVoter, takesPart })
  }

  #parse(data: unknown): Membership {
    const fields = (isObject(data) ? data : {}) as Partial<
      Record<'clusterId' | 'voters' | 'isVoter' | 'takesPart', unknown>
    >
    const { clusterId, voters, isVoter, takesPart = isVoter } = fields
    if (typeof isVoter !== 'boolean' || typeof takesPart !== 'boolean' || !Array.isArray(voters))
      throw this.#refusal('does not hold a formation')
    const wireVoters = voters.map((voter: unknown) => (isObject(voter) ? Object.values(voter) : null))
    try {
      const formation = formationSchema.decode([clusterId, wireVoters], 'formation')
      return { formation, isVoter, takesPart }
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
