// One seeded run: a random schedule of messages, writes, time, proposals and faults, then peace, in which the cluster
// must agree and go on.
import { assert } from '../../src/base/assert.ts'
import { type Random, seededRandom } from '../../src/base/random.ts'
import { Cluster, TICK_MS } from './cluster.ts'
import { sameEntry } from './invariants.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly voters: number
  /** Nodes that do not vote at first. With some, voters change, leadership is moved, reads are asked for, disks are lost. */
  readonly spares?: number
  readonly steps: number
  /** Gets everything that happens. */
  readonly trace?: (line: string) => void
}

/** What happened, so that a set of runs can show that it tested what it means to test. */
export interface Coverage {
  elections: number
  committed: number
  truncations: number
  /** Entries a follower refused because what precedes them differs. */
  refusals: number
  lostWrites: number
  /** Writes that completed after the term they began in. */
  lateWrites: number
  /** Own snapshots. */
  snapshots: number
  /** Snapshots of a leader that were installed. */
  installs: number
  /** Changes of the voters that were committed. */
  voterChanges: number
  transfers: number
  reads: number
  /** Disks of voters that were replaced by empty ones. */
  lostDisks: number
}

export const NO_COVERAGE: Coverage = {
  elections: 0,
  committed: 0,
  truncations: 0,
  refusals: 0,
  lostWrites: 0,
  lateWrites: 0,
  snapshots: 0,
  installs: 0,
  voterChanges: 0,
  transfers: 0,
  reads: 0,
  lostDisks: 0,
}

const CONFIG = {
  electionTimeoutMs: 100,
  heartbeatIntervalMs: 20,
  hintRetryMinMs: 10,
  hintRetryMaxMs: 30,
  // Tiny limits, so that several appends are needed and windows and queues fill up.
  entryMaxBytes: 16,
  appendMaxBytes: 40,
  inflightAppendsMax: 2,
  uncommittedMaxBytes: 400,
  trailingEntries: 3,
  snapshotChunkBytes: 300,
} as const

/** @throws when an invariant breaks or the healed cluster does not converge; the message says how to replay it. */
export function simulate(options: SimulationOptions): Coverage {
  const trace: string[] = []
  try {
    return new Simulation(options, (line) => {
      options.trace?.(line)
      trace.push(line)
      if (trace.length > 400) trace.splice(0, 200)
    }).run()
  } catch (error) {
    const spares = options.spares === undefined ? '' : ` RAFT_SPARES=${options.spares}`
    const replay = `RAFT_SEED=${options.seed} RAFT_VOTERS=${options.voters}${spares} npx vitest run test/raft/simulation.test.ts`
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${reason}\nreplay: ${replay}\n${trace.slice(-40).join('\n')}`, { cause: error })
  }
}

/** How often things happen, drawn for each run: some bugs need many faults, others that one kind is rare. */
interface Rates {
  readonly write: number
  readonly time: number
  readonly crash: number
  readonly restart: number
  readonly partition: number
  readonly closeLink: number
  readonly resign: number
  readonly snapshot: number
  readonly change: number
  readonly transfer: number
  readonly read: number
  readonly loseDisk: number
  readonly lossPercent: number
  readonly repeatPercent: number
  readonly reorderPercent: number
}

class Simulation {
  readonly #steps: number
  readonly #random: Random
  readonly #cluster: Cluster
  #proposals = 0
  readonly #rates: Rates
  readonly #coverage: Coverage = { ...NO_COVERAGE }

  constructor(options: SimulationOptions, trace: (line: string) => void) {
    const { seed, voters, steps, spares = 0 } = options
    this.#steps = steps
    this.#random = seededRandom(seed)
    const oneOf = (...values: readonly number[]): number => values[this.#random.below(values.length)]!
    this.#rates = {
      write: oneOf(6, 20, 80),
      time: oneOf(2, 6, 15),
      crash: oneOf(0, 0.5, 2),
      restart: oneOf(4, 12),
      partition: oneOf(0, 1, 4),
      closeLink: oneOf(0, 1, 4),
      resign: oneOf(0, 0.5, 3),
      snapshot: oneOf(0, 2, 8),
      lossPercent: oneOf(0, 3, 15),
      repeatPercent: oneOf(0, 5, 20),
      reorderPercent: oneOf(0, 20, 80),
      change: spares === 0 ? 0 : oneOf(6, 20, 60),
      transfer: spares === 0 ? 0 : oneOf(0, 1, 4),
      read: spares === 0 ? 0 : oneOf(1, 4),
      loseDisk: spares === 0 ? 0 : oneOf(0, 1, 4),
    }
    this.#cluster = new Cluster({
      voters: Array.from({ length: voters }, (_, i) => i + 1),
      learners: Array.from({ length: spares }, (_, i) => voters + i + 1),
      config: CONFIG,
      seed,
      trace: (line) => {
        this.#count(line)
        trace(line)
      },
    })
  }

  run(): Coverage {
    for (let step = 0; step < this.#steps; step++) this.#step()
    this.#makePeace()
    const { committed } = this.#cluster.invariants
    this.#coverage.committed = committed.length
    this.#coverage.voterChanges = committed.filter(({ voters }) => voters !== undefined).length
    return this.#coverage
  }

  #count(line: string): void {
    if (line.includes('becomes leader')) this.#coverage.elections++
    if (line.includes('begun in term')) this.#coverage.lateWrites++
    if (line.includes(' and keeps entries from')) this.#coverage.snapshots++
    if (line.includes('takes the state of')) this.#coverage.installs++
    if (line.includes('truncates')) this.#coverage.truncations++
    if (line.includes('answers read')) this.#coverage.reads++
    if (line.startsWith('  ') && line.includes('timeout-now')) this.#coverage.transfers++
    if (line.startsWith('  ') && line.includes('refused=')) this.#coverage.refusals++
  }

  #step(): void {
    const cluster = this.#cluster
    // More messages in flight make deliveries likelier, so that neither side starves the other.
    const rates = this.#rates
    const weights: readonly (readonly [number, () => void])[] = [
      [10 + Math.min(300, cluster.inFlight.length * 10), () => this.#deliver()],
      [rates.write, () => this.#completeWrite()],
      [rates.time, () => this.#passTime()],
      [6, () => this.#propose()],
      [rates.crash, () => this.#crash()],
      [rates.restart, () => this.#restart()],
      [rates.partition, () => this.#partition()],
      [rates.partition * 2, () => cluster.heal()],
      [rates.closeLink, () => this.#closeLink()],
      [rates.resign, () => this.#resign()],
      [rates.snapshot, () => this.#snapshot()],
      [rates.change, () => this.#changeVoters()],
      [rates.transfer, () => this.#transfer()],
      [rates.read, () => this.#read()],
      [rates.loseDisk, () => this.#loseDisk()],
    ]
    const total = weights.reduce((sum, [weight]) => sum + weight, 0)
    let drawn = (this.#random.u32() / 2 ** 32) * total
    for (const [weight, act] of weights) {
      drawn -= weight
      if (drawn >= 0) continue
      act()
      return
    }
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.#random.below(items.length)]
  }

  #up(): readonly number[] {
    return this.#cluster.ids.filter((id) => this.#cluster.isUp(id))
  }

  /** Mostly in order, now and then a late one, twice, or never. */
  #deliver(): void {
    const { inFlight } = this.#cluster
    if (inFlight.length === 0) return
    const place = this.#chance(this.#rates.reorderPercent) ? this.#random.below(inFlight.length) : 0
    if (this.#chance(this.#rates.repeatPercent)) this.#cluster.deliver(inFlight[place]!)
    const message = this.#cluster.take(place)
    if (!this.#chance(this.#rates.lossPercent)) this.#cluster.deliver(message)
  }

  #completeWrite(): void {
    const writing = this.#up().filter((id) => this.#cluster.writesUnderWay(id) > 0)
    const id = this.#pick(writing)
    if (id !== undefined) this.#cluster.completeWrite(id, this.#chance(50) ? 'told-first' : 'sent-first')
  }

  /** Some nodes may sleep through it. */
  #passTime(): void {
    this.#cluster.nowMs += TICK_MS
    for (const id of this.#up()) if (this.#chance(90)) this.#cluster.tick(id)
  }

  #propose(): void {
    const id = this.#chance(70) ? this.#cluster.leader : this.#pick(this.#up())
    if (id != null) this.#cluster.propose(id, `p${this.#proposals++}`)
  }

  #crash(): void {
    const id = this.#chance(50) ? this.#cluster.leader : this.#pick(this.#up())
    if (id == null) return
    const writes = this.#cluster.writesUnderWay(id)
    if (writes > 0) this.#coverage.lostWrites++
    this.#cluster.crash(id, {
      writes: this.#random.below(writes + 1),
      ...(this.#chance(50) ? { entriesOfNext: this.#random.below(3) } : {}),
      snapshotOfNext: this.#chance(50),
    })
    for (const peer of this.#up()) if (this.#chance(50)) this.#cluster.linkClosed(peer, id)
  }

  /** Begins one or completes one; the node may die before it hears of that. */
  #snapshot(): void {
    const id = this.#pick(this.#up())
    if (id === undefined) return
    if (this.#cluster.snapshotsUnderWay(id) === 0) {
      this.#cluster.takeSnapshot(id)
      return
    }
    const told = !this.#chance(10)
    this.#cluster.completeSnapshot(id, told)
    if (!told) this.#cluster.crash(id)
  }

  #restart(): void {
    const id = this.#pick(this.#cluster.ids.filter((other) => !this.#cluster.isUp(other)))
    if (id !== undefined) this.#cluster.restart(id)
  }

  #partition(): void {
    const { ids } = this.#cluster
    this.#cluster.heal()
    const { leader } = this.#cluster
    // A leader alone with what it has not replicated yet is where logs part.
    const side = this.#chance(40) ? ids.filter((id) => id === leader) : ids.filter(() => this.#chance(50))
    const rest = ids.filter((id) => !side.includes(id))
    if (this.#chance(70)) this.#cluster.partition([side, rest])
    // One way only: the others hear it but it hears nobody, or the reverse.
    else for (const from of side) for (const to of rest) this.#cluster.cut(from, to)
  }

  #closeLink(): void {
    const id = this.#pick(this.#up())
    const peer = this.#chance(50) ? this.#cluster.leader : this.#pick(this.#cluster.ids)
    if (id !== undefined && peer != null && id !== peer) this.#cluster.linkClosed(id, peer)
  }

  #resign(): void {
    const id = this.#cluster.leader
    if (id !== null) this.#cluster.resign(id)
  }

  /** Whoever believes to lead adds or removes somebody; most often what can succeed. */
  #changeVoters(): void {
    const cluster = this.#cluster
    const leaders = this.#up().filter((id) => cluster.raft(id).role === 'leader')
    const leader = this.#pick(leaders)
    if (leader === undefined) return
    const { voters } = cluster.raft(leader).voterSet
    const voting = voters.map(({ directoryId }) => directoryId)
    // A disk that is gone first: until it is replaced, no other may be lost.
    const gone = voting.find((disk) => cluster.isLost(disk))
    if (gone !== undefined && this.#chance(70)) cluster.changeVoters(leader, 'remove', gone)
    else if (voting.length <= 3 || this.#chance(55)) {
      // The leader may not know yet that a disk is gone; who adds it does.
      const ready = cluster
        .raft(leader)
        .followers.filter(
          ({ isCaughtUp, isVoter, directoryId }) => isCaughtUp && !isVoter && !cluster.isLost(directoryId),
        )
      const disks = (ready.length > 0 ? ready : cluster.ids.map((id) => cluster.disk(id))).map(
        ({ directoryId }) => directoryId,
      )
      cluster.changeVoters(leader, 'add', this.#pick(disks)!)
    } else cluster.changeVoters(leader, 'remove', this.#pick(voting)!)
  }

  #transfer(): void {
    const { leader } = this.#cluster
    const to = this.#pick(this.#cluster.ids)
    if (leader !== null && to !== undefined) this.#cluster.transferLeadership(leader, to)
  }

  #read(): void {
    const id = this.#chance(50) ? this.#cluster.leader : this.#pick(this.#up())
    if (id != null) this.#cluster.readIndex(id)
  }

  /**
   * A node loses its disk. Of the voters only one may have lost its own at a time, and only while at least two are left: more is
   * beyond what a quorum can bear. Sets of voters that are under way count as well.
   */
  #loseDisk(): void {
    const cluster = this.#cluster
    const id = this.#pick(cluster.ids)!
    const { directoryId } = cluster.disk(id)
    const sets = cluster.possibleVoters()
    const votes = sets.some((set) => set.some((voter) => voter.directoryId === directoryId))
    const bearable = sets.every(
      (set) => set.length >= 3 && !set.some((voter) => cluster.isLost(voter.directoryId)),
    )
    // One without a vote loses nothing but time, so that is done rarely.
    if (votes ? !bearable : this.#chance(90)) return
    if (cluster.isUp(id)) cluster.crash(id)
    cluster.replaceDisk(id)
    if (votes) this.#coverage.lostDisks++
  }

  /** All nodes up, all links whole: soon one leads, commits, and all hold the same. */
  #makePeace(): void {
    const cluster = this.#cluster
    cluster.heal()
    for (const id of cluster.ids) if (!cluster.isUp(id)) cluster.restart(id)
    cluster.settle()
    const accepted = (): boolean => {
      const { leader } = cluster
      return (
        leader !== null &&
        cluster.raft(leader).leaderReady &&
        cluster.propose(leader, 'end').kind === 'accepted'
      )
    }
    cluster.runUntil(accepted, 60 * CONFIG.electionTimeoutMs)
    const isEnd = (id: number): boolean => {
      const data = cluster.applied(id).at(-1)?.data
      return data != null && data.length === 3 && data[0] === 'e'.charCodeAt(0)
    }
    cluster.runUntil(() => cluster.ids.every(isEnd), 60 * CONFIG.electionTimeoutMs)
    const { committed } = cluster.invariants
    for (const id of cluster.ids) {
      const applied = cluster.applied(id)
      assert(
        applied.length === committed.length,
        `node ${id} applied ${applied.length} of ${committed.length}`,
      )
      assert(
        applied.every((entry, i) => sameEntry(entry, committed[i]!)),
        `node ${id} applied something else`,
      )
    }
  }
}
