// Stops a process before each of its file operations in turn and looks at what the next one finds: after a kill, after a
// power loss that loses all that was not synced, and after ones that lose parts of it by chance.
import { deferred } from '../../src/base/async/deferred.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryFileSystem, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import { settled } from './gated-disk.ts'

export interface CrashSweep<State> {
  /** Makes the disk that every run begins with. */
  readonly prepare?: (disk: MemoryFileSystem) => Promise<void>
  readonly state: () => State
  /** What is interrupted. It notes in the state what a client was told. */
  readonly run: (disk: MemoryFileSystem, state: State) => Promise<void>
  /** Looks at a disk after the crash. */
  readonly check: (disk: MemoryFileSystem, state: State) => Promise<void>
  /** Random power losses at each operation; default 3. */
  readonly randomLosses?: number
}

/** @returns how many operations the whole run has. */
export async function sweepCrashes<State>(sweep: CrashSweep<State>): Promise<number> {
  const prepared = new MemoryFileSystem()
  await sweep.prepare?.(prepared)
  for (let crashAt = 1; ; crashAt++) {
    const crashed = deferred<'crashed'>()
    const disk = prepared.afterKill({
      onOperation({ sequence }) {
        if (sequence < crashAt) return undefined
        crashed.resolve('crashed')
        return new Promise(() => {})
      },
    })
    const state = sweep.state()
    const ended = await Promise.race([sweep.run(disk, state), crashed.promise])
    // What needs no further file operation still happens: the process stops at the operation, not before it.
    await settled()
    await checkAll(sweep, { disk, state, crashAt })
    if (ended !== 'crashed') return crashAt - 1
  }
}

async function checkAll<State>(
  sweep: CrashSweep<State>,
  { disk, state, crashAt }: { disk: MemoryFileSystem; state: State; crashAt: number },
): Promise<void> {
  const check = async (name: string, after: MemoryFileSystem): Promise<void> => {
    try {
      await sweep.check(after, state)
    } catch (error) {
      throw new Error(`stopped before operation ${crashAt}, then ${name}: ${String(error)}`, { cause: error })
    }
  }
  await check('killed', disk.afterKill())
  await check('power lost', disk.afterPowerLoss())
  for (let seed = 1; seed <= (sweep.randomLosses ?? 3); seed++) {
    await check(
      `power lost with seed ${seed}`,
      disk.afterPowerLoss(randomPowerLoss(seededRandom(1000 * crashAt + seed))),
    )
  }
}
