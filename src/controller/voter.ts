// One voter at work: the consensus, its log, its links and the controller on top, put together once the cluster and
// what this directory stored are known.
import type { IncarnationId, NodeId } from '../model/ids.ts'
import { RAFT_DEFAULTS, type RaftConfig } from '../raft/config.ts'
import { APPEND_ABSOLUTE_MAX_BYTES, ENTRY_ABSOLUTE_MAX_BYTES } from '../raft/messages.ts'
import { RaftNode } from '../raft/raft-node.ts'
import { Controller } from './controller.ts'
import type { ConnectPeer, ControllerEnvironment, ControllerSettings } from './controller-environment.ts'
import { ControllerFlows } from './controller-flows.ts'
import { type Formation, voterIdsOf } from './formation-file.ts'
import { RaftDriver, type RaftStore } from './raft-driver.ts'
import type { StoredLog } from './raft-log-store.ts'
import { RaftPeers } from './raft-peers.ts'
import type { SnapshotFiles } from './snapshot-files.ts'

/** A disk that has not finished a write for so many election timeouts is not fit to lead. */
const DISK_STALL_ELECTIONS = 5

/** Bytes an entry has, more or less: a record or two with their causes, and now and then a big one. */
const TRAILING_ENTRY_BYTES = 1_024

export interface VoterOptions {
  readonly environment: ControllerEnvironment
  readonly settings: ControllerSettings
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  readonly formation: Formation
  readonly connectPeer: ConnectPeer
  readonly store: RaftStore
  readonly stored: StoredLog
  readonly snapshotFiles: SnapshotFiles
}

export class Voter {
  readonly controller: Controller
  readonly flows: ControllerFlows
  readonly driver: RaftDriver
  readonly #peers: RaftPeers

  constructor(options: VoterOptions) {
    const {
      environment,
      settings,
      nodeId,
      incarnationId: own,
      formation,
      connectPeer,
      store,
      stored: { hardState, loaded, entries },
      snapshotFiles,
    } = options
    const { clock, random, log } = environment
    const voters = voterIdsOf(formation)
    const config = raftConfigOf(settings)
    this.#peers = new RaftPeers({
      peers: voters.filter((voter) => voter !== nodeId),
      connectPeer,
      clock,
      random,
      log,
      onLinkOpened: (peer) => this.driver.linkOpened(peer),
      onLinkClosed: (peer) => this.driver.linkClosed(peer),
    })
    this.controller = new Controller(
      {
        environment,
        settings,
        nodeId,
        formation,
        entryMaxBytes: config.entryMaxBytes,
        // There is no link to this node itself, but it knows which run of its broker is its own.
        isLinkDown: ({ brokerId, incarnationId }) =>
          brokerId === nodeId ? incarnationId !== own : this.#peers.isDown(brokerId, incarnationId),
        loaded,
        snapshotFiles,
      },
      () => this.driver,
    )
    this.driver = new RaftDriver({
      ...environment,
      node: new RaftNode({
        id: nodeId,
        directoryId: formation.voters.find((voter) => voter.nodeId === nodeId)!.directoryId,
        voters: formation.voters.map((voter) => ({ id: voter.nodeId, directoryId: voter.directoryId })),
        hardState,
        snapshot: loaded?.snapshot ?? null,
        entries,
        config,
        random,
        nowMs: clock.monotonicMs(),
      }),
      store,
      tickMs: config.tickMs,
      diskStallMs: settings.electionTimeoutMs * DISK_STALL_ELECTIONS,
      send: (message) => this.#peers.send(message),
      onRestored: (snapshot) => this.controller.restored(snapshot),
      onCommitted: (entries) => this.controller.committed(entries),
      onProgress: () => this.controller.progressed(),
    })
    this.flows = new ControllerFlows({
      nodeId,
      voters,
      controller: this.controller,
      driver: this.driver,
      random,
      log,
    })
  }

  start(): void {
    this.#peers.start()
    this.driver.start()
  }

  /** Gives up leadership, and resolves when nothing is written any more. */
  async stop(): Promise<void> {
    const stopped = this.driver.stop()
    const written = this.controller.stop()
    this.#peers.stop()
    await stopped
    await written
  }
}

function raftConfigOf(settings: ControllerSettings): RaftConfig {
  const { electionTimeoutMs, quorumHeartbeatIntervalMs } = settings
  return {
    ...RAFT_DEFAULTS,
    electionTimeoutMs,
    heartbeatIntervalMs: quorumHeartbeatIntervalMs,
    tickMs: Math.min(RAFT_DEFAULTS.tickMs, quorumHeartbeatIntervalMs),
    // The largest batches, those that fence a broker with many replicas, must fit.
    entryMaxBytes: ENTRY_ABSOLUTE_MAX_BYTES,
    appendMaxBytes: APPEND_ABSOLUTE_MAX_BYTES,
    // Not much more than what is between two snapshots, or small settings would have no effect.
    trailingEntries: Math.min(
      RAFT_DEFAULTS.trailingEntries,
      Math.floor(settings.bytesBetweenSnapshots / TRAILING_ENTRY_BYTES),
    ),
  }
}
