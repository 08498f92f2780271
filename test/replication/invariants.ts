// The invariants of the acceptance catalogue, section 2.0, over the model of one partition.
import type { Offset } from '../../src/model/ids.ts'
import type { MemoryLog, ModelRecord } from './memory-log.ts'
import type { ModelPartition } from './model-partition.ts'
import type { ModelReplica, Role } from './model-replica.ts'

export class Invariants {
  readonly #model: ModelPartition
  readonly #minInsyncReplicas: number
  /** What any leader ever had below its high watermark, by offset: acknowledged or readable, so never to change. */
  readonly #committed: ModelRecord[] = []
  readonly #lastHighWatermark = new WeakMap<object, Offset>()

  constructor(model: ModelPartition, minInsyncReplicas: number) {
    this.#model = model
    this.#minInsyncReplicas = minInsyncReplicas
  }

  check(): void {
    const { controller, replicas } = this.#model
    const { isr, leader } = controller.partition
    this.#hold(leader === null || isr.includes(leader), 'INV-3 LeaderInIsr')
    this.#hold(
      isr.length === 1 || isr.every((id) => !controller.broker(id).fenced),
      'INV-11 no fenced member but the last',
    )
    for (const replica of replicas) {
      if (replica.role.kind === 'leader') this.#extendCommitted(replica)
    }
    for (const replica of replicas) {
      this.#checkLog(replica)
      if (replica.role.kind !== 'none') this.#checkHighWatermark(replica, replica.role)
      this.#hold(replica.losses === 0, `replica ${replica.id} truncated below its high watermark`)
    }
    for (const id of isr) {
      const member = this.#model.replica(id)
      this.#hold(
        member.log.flushedOffset >= this.#committed.length,
        `INV-5, INV-13: member ${id} has fsynced ${member.log.flushedOffset} of ${this.#committed.length} committed`,
      )
      this.#agrees(member.log, this.#committed.length, `INV-1, INV-5: ISR member ${id}`)
    }
    const current = this.#currentLeader()
    if (current !== null) this.#checkCurrentLeader(current)
  }

  /** After all faults are healed. */
  checkHealed(): void {
    const { controller, replicas } = this.#model
    const current = this.#currentLeader()
    if (current === null) throw new Error('healed: there is no leader')
    const { isr } = controller.partition
    this.#hold(isr.length === replicas.length, `healed: ISR is ${isr.join()}`)
    const { logEndOffset } = current.log
    this.#hold(current.highWatermark === logEndOffset, 'healed: the last record is not committed')
    for (const replica of replicas) {
      this.#hold(replica.log.logEndOffset === logEndOffset, `healed: replica ${replica.id} is short`)
      this.#agrees(replica.log, logEndOffset, `healed: replica ${replica.id}`)
    }
  }

  #currentLeader(): ModelReplica | null {
    const { leader, leaderEpoch } = this.#model.controller.partition
    const replica = leader === null ? null : this.#model.replica(leader)
    const isCurrent = replica?.role.kind === 'leader' && replica.role.core.leaderEpoch === leaderEpoch
    return isCurrent ? replica : null
  }

  #checkCurrentLeader(replica: ModelReplica): void {
    const { isr } = this.#model.controller.partition
    const state = replica.leader.isr
    this.#hold(replica.log.logEndOffset >= this.#committed.length, 'INV-4 LeaderCompleteness')
    this.#agrees(replica.log, this.#committed.length, 'INV-4 LeaderCompleteness')
    if (isr.length >= this.#minInsyncReplicas) {
      const isSuperset = isr.every((id) => state.maximalIsr.includes(id))
      this.#hold(isSuperset, `INV-6 maximal ISR ${state.maximalIsr.join()} covers not ${isr.join()}`)
    }
    if (state.kind === 'committed') this.#hold(state.isr === state.maximalIsr, 'INV-6 without a proposal')
  }

  #extendCommitted(leader: ModelReplica): void {
    for (let offset = this.#committed.length; offset < leader.highWatermark; offset++) {
      const record = leader.log.at(offset)
      if (record === undefined)
        throw new Error(`leader ${leader.id} lacks ${offset} below its high watermark`)
      this.#committed.push(record)
    }
  }

  /** INV-7 and INV-8 in one: below a high watermark every replica has what was committed there first. */
  #checkHighWatermark(replica: ModelReplica, role: Exclude<Role, { kind: 'none' }>): void {
    const { highWatermark } = role.core
    this.#hold(highWatermark <= this.#committed.length, `replica ${replica.id} is ahead of all leaders`)
    this.#hold(highWatermark <= replica.log.logEndOffset, `INV-25: high watermark of ${replica.id}`)
    this.#agrees(replica.log, highWatermark, `INV-7 LogMatching: replica ${replica.id}`)
    const last = this.#lastHighWatermark.get(role.core) ?? 0
    this.#hold(highWatermark >= last, `INV-16: high watermark went from ${last} to ${highWatermark}`)
    this.#lastHighWatermark.set(role.core, highWatermark)
  }

  #checkLog({ id, log }: ModelReplica): void {
    const { entries } = log.epochs
    for (let i = 1; i < entries.length; i++) {
      const [before, after] = [entries[i - 1]!, entries[i]!]
      this.#hold(before.epoch < after.epoch && before.startOffset < after.startOffset, `INV-15 on ${id}`)
    }
    for (let offset = log.logStartOffset; offset < log.logEndOffset; offset++) {
      this.#hold(log.at(offset)!.epoch === log.epochs.epochAt(offset), `INV-15: epoch of ${offset} on ${id}`)
    }
  }

  #agrees(log: MemoryLog, endOffset: Offset, what: string): void {
    for (let offset = log.logStartOffset; offset < Math.min(endOffset, this.#committed.length); offset++) {
      const own = log.at(offset)
      const committed = this.#committed[offset]!
      if (own?.epoch !== committed.epoch || own.value !== committed.value) {
        throw new Error(
          `${what}: offset ${offset} is ${JSON.stringify(own)}, committed ${JSON.stringify(committed)}`,
        )
      }
    }
  }

  #hold(condition: boolean, what: string): void {
    if (!condition) throw new Error(what)
  }
}
