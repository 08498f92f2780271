// The small files of a data directory as the commands that look at one see them: what each holds and whether it is whole.
import type { Cpu } from '../base/cpu.ts'
import type { Offset } from '../model/ids.ts'
import { AtomicFile, isCount, isObject } from './atomic-file.ts'
import { COMPACTION_VERSION, decodeCompaction } from './compaction-state.ts'
import { decodeDamage } from './damage-file.ts'
import type { FileSystem } from './file-system.ts'
import { joinPath } from './file-system.ts'
import { decodeEpochs } from './leader-epochs-file.ts'
import { DIRECTORY_FORMAT_VERSION } from './meta-file.ts'
import { CHECKPOINT_VERSION } from './offset-checkpoint.ts'

interface SmallFileKind {
  readonly format: string
  readonly version: number
  /** What is lost with it, and what to do. */
  readonly whenDamaged: string
  /** Whether the broker refuses to start, or a log to open, without it. */
  readonly isVital: boolean
  readonly isValid: (data: unknown) => boolean
}

const CHECKPOINT = { version: CHECKPOINT_VERSION, isVital: false, isValid: isOffsets } as const
const BROKER_EPOCH = {
  version: 1,
  isVital: false,
  isValid: (data: unknown) => isObject(data) && isCount(data['brokerEpoch']),
} as const

const SMALL_FILES: ReadonlyMap<string, SmallFileKind> = new Map<string, SmallFileKind>([
  [
    'meta.json',
    {
      format: 'data-directory',
      version: DIRECTORY_FORMAT_VERSION,
      isVital: true,
      whenDamaged: 'The node does not start. Restore the file, or start on an empty directory.',
      isValid: (data) => isObject(data) && isCount(data['nodeId']) && typeof data['directoryId'] === 'string',
    },
  ],
  [
    'clean-shutdown',
    { format: 'clean-shutdown', ...BROKER_EPOCH, whenDamaged: 'The stop counts as unclean; nothing to do.' },
  ],
  [
    'broker-epoch',
    {
      format: 'broker-epoch',
      ...BROKER_EPOCH,
      whenDamaged:
        'The broker leaves its in-sync sets when it registers and joins them again; nothing to do.',
    },
  ],
  [
    'recovery-points',
    {
      format: 'recovery-points',
      ...CHECKPOINT,
      whenDamaged: 'The start verifies every log from the start of its active segment; nothing to do.',
    },
  ],
  [
    'high-watermarks',
    {
      format: 'high-watermarks',
      ...CHECKPOINT,
      whenDamaged: 'High watermarks are learned again; nothing to do.',
    },
  ],
  [
    'leader-epochs',
    {
      format: 'leader-epochs',
      version: 1,
      isVital: false,
      whenDamaged: 'The epochs are found again in the batches at the next start; nothing to do.',
      isValid: (data) => decodeEpochs(data) !== null,
    },
  ],
  [
    'log-start-offsets',
    {
      format: 'log-start-offsets',
      ...CHECKPOINT,
      whenDamaged: 'Logs start at their first segments again, with records that were deleted; nothing to do.',
    },
  ],
  [
    'damaged-ranges',
    {
      format: 'damaged-ranges',
      version: 1,
      isVital: false,
      whenDamaged: 'What is damaged is found again by reads and by the scrub; nothing to do.',
      isValid: (data) => decodeDamage(data) !== null,
    },
  ],
  [
    'compaction',
    {
      format: 'compaction',
      version: COMPACTION_VERSION,
      isVital: false,
      whenDamaged:
        'The log as it is at the next start counts as compacted up to its end, and it is compacted from its start; nothing to do.',
      isValid: (data) => decodeCompaction(data) !== null,
    },
  ],
  [
    'formation',
    {
      format: 'formation',
      version: 1,
      isVital: true,
      whenDamaged: 'The node does not start. Restore the file, or start on an empty directory.',
      isValid: (data) =>
        isObject(data) && Array.isArray(data['voters']) && typeof data['isVoter'] === 'boolean',
    },
  ],
  [
    'hard-state',
    {
      format: 'hard-state',
      version: 1,
      isVital: true,
      whenDamaged:
        'The node does not start, as it could vote twice. Restore the file, or start on an empty directory.',
      isValid: (data) => isObject(data) && isCount(data['term']),
    },
  ],
])

export type SmallFile =
  | { readonly status: 'absent' }
  | { readonly status: 'ok'; readonly data: unknown }
  | { readonly status: 'newer'; readonly version: number }
  | {
      readonly status: 'damaged'
      readonly reason: string
      readonly isVital: boolean
      readonly whenDamaged: string
    }

export function isSmallFile(name: string): boolean {
  return SMALL_FILES.has(name)
}

/** Reads one of the small files and checks its checksum and the shape of what it holds. */
export async function readSmallFileOf(
  { fileSystem, cpu }: { readonly fileSystem: FileSystem; readonly cpu: Cpu },
  place: { readonly directory: string; readonly name: string; readonly as?: string },
): Promise<SmallFile> {
  const { directory, name, as = name } = place
  const kind = SMALL_FILES.get(as)!
  const { format, version, isVital, whenDamaged } = kind
  const path = joinPath(directory, name)
  const content = await new AtomicFile({ fileSystem, cpu, path, format, version }).read()
  if (content.status === 'damaged') return { ...content, isVital, whenDamaged }
  if (content.status === 'ok' && !kind.isValid(content.data)) {
    return { status: 'damaged', reason: `it does not hold what a ${format} does`, isVital, whenDamaged }
  }
  return content
}

/** The offsets of a checkpoint by the key of the log; none where it is absent or damaged. */
export function offsetsOf(file: SmallFile): ReadonlyMap<string, Offset> {
  return new Map(file.status === 'ok' && isOffsets(file.data) ? file.data : [])
}

function isOffsets(data: unknown): data is readonly (readonly [string, Offset])[] {
  return (
    Array.isArray(data) &&
    data.every(
      (pair) => Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && isCount(pair[1]),
    )
  )
}
