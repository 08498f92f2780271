// Carries out a schedule of faults.
import { type ChaosCluster, pause } from './chaos-cluster.ts'
import { describeFault, type Fault, type FaultName, type ScheduledFault } from './chaos-schedule.ts'

export interface FaultsOptions {
  readonly cluster: ChaosCluster
  readonly schedule: readonly ScheduledFault[]
  /** Ends the faults early. */
  readonly signal: AbortSignal
  /** Told in the moment in which a fault begins. */
  readonly onFault: (text: string) => void
}

/**
 * Injects the faults at their times, each for as long as it says, and resolves when the last one has begun and all have
 * ended, or the signal has aborted. What an aborted fault leaves behind is for the caller to heal.
 * @returns how many of each kind were injected.
 */
export async function injectFaults(options: FaultsOptions): Promise<ReadonlyMap<FaultName, number>> {
  const { schedule, signal, onFault } = options
  const injected = new Map<FaultName, number>()
  const startMs = performance.now()
  const running: Promise<void>[] = []
  for (const { atMs, fault } of schedule) {
    await pause(startMs + atMs - performance.now(), signal)
    if (signal.aborted) break
    onFault(describeFault(fault))
    injected.set(fault.kind, (injected.get(fault.kind) ?? 0) + 1)
    running.push(inject(fault, options))
  }
  await Promise.all(running)
  return injected
}

async function inject(fault: Fault, { cluster, signal }: FaultsOptions): Promise<void> {
  const { network } = cluster
  switch (fault.kind) {
    case 'kill':
      await cluster.kill(fault.node)
      return startLater([fault.node], fault.downMs, { cluster, signal })
    case 'kill-all':
      await cluster.killAll()
      return startLater(
        cluster.nodes.map(({ id }) => id),
        fault.downMs,
        { cluster, signal },
      )
    case 'restart':
      await cluster.stop(fault.node)
      return startLater([fault.node], fault.downMs, { cluster, signal })
    case 'pause':
      cluster.pause(fault.node)
      await pause(fault.pausedMs, signal)
      return cluster.resume(fault.node)
    case 'pause-kill':
      return pauseAroundKill(fault, { cluster, signal })
    case 'partition': {
      const end = network.disturb({ cut: fault.cut })
      await pause(fault.durationMs, signal)
      return end()
    }
    case 'reset': {
      const end = network.disturb({ refuse: fault.refusedMs > 0 ? fault.dialled : [] })
      network.reset(fault.dialled, fault.afterBytes)
      await pause(fault.refusedMs, signal)
      return end()
    }
    case 'slow': {
      const { between, delayMs, bytesPerSecond } = fault
      const end = network.disturb({ slow: { between, delayMs, bytesPerSecond } })
      await pause(fault.durationMs, signal)
      return end()
    }
  }
}

type At = Pick<FaultsOptions, 'cluster' | 'signal'>

async function startLater(nodes: readonly number[], afterMs: number, { cluster, signal }: At): Promise<void> {
  await pause(afterMs, signal)
  if (!signal.aborted) for (const id of nodes) cluster.start(id)
}

async function pauseAroundKill(
  fault: Extract<Fault, { kind: 'pause-kill' }>,
  { cluster, signal }: At,
): Promise<void> {
  for (const id of fault.paused) cluster.pause(id)
  await pause(fault.beforeMs, signal)
  await cluster.kill(fault.killed)
  await startLater([fault.killed], fault.downMs, { cluster, signal })
  await pause(fault.afterMs, signal)
  for (const id of fault.paused) cluster.resume(id)
}
