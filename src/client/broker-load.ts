import type { NodeId } from '../model/ids.ts'

/**
 * What one producer may have under way to one broker. 16 MiB keep a 10 Gbit/s link busy for 13 ms, longer than a broker
 * takes to answer; more would only wait in its queues, and must stay below the output buffer of the connection.
 */
const IN_FLIGHT_MAX_BYTES = 16 * 1024 * 1024
/** Far below what a connection allows, which producers, consumers and admin calls share. */
const IN_FLIGHT_MAX_REQUESTS = 128

interface Load {
  bytes: number
  requests: number
}

/** Counts the unanswered produce requests of each broker. */
export class BrokerLoad {
  readonly #loads = new Map<NodeId, Load>()

  /** Whether a batch may be sent besides `plannedBytes` that are about to be. */
  hasRoom(brokerId: NodeId, plannedBytes: number): boolean {
    const load = this.#loads.get(brokerId)
    if (load === undefined) return plannedBytes < IN_FLIGHT_MAX_BYTES
    return load.bytes + plannedBytes < IN_FLIGHT_MAX_BYTES && load.requests < IN_FLIGHT_MAX_REQUESTS
  }

  sent(brokerId: NodeId, bytes: number): void {
    const load = this.#loads.get(brokerId)
    if (load === undefined) {
      this.#loads.set(brokerId, { bytes, requests: 1 })
    } else {
      load.bytes += bytes
      load.requests++
    }
  }

  /** The request was answered or has failed. */
  ended(brokerId: NodeId, bytes: number): void {
    const load = this.#loads.get(brokerId)!
    load.bytes -= bytes
    load.requests--
    if (load.requests === 0) this.#loads.delete(brokerId)
  }
}
