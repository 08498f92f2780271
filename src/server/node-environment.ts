import type { Log } from '../base/log.ts'
import type { Process, ProcessIdentity } from '../base/process.ts'
import { WsListenerFactory } from '../net/node/ws-listener.ts'
import { WsTransport } from '../net/node/ws-transport.ts'
import { createNodeClock } from '../platform/node/node-clock.ts'
import { createNodeCpu } from '../platform/node/node-cpu.ts'
import { createNodeMac } from '../platform/node/node-mac.ts'
import { createNodeProcess, readProcessIdentity } from '../platform/node/node-process.ts'
import { createNodeRandom } from '../platform/node/node-random.ts'
import { NodeFileSystem } from '../storage/node-file-system.ts'
import type { Environment } from './environment.ts'

/** The ports of a real process. */
export function createNodeEnvironment(log: Log): Environment {
  const clock = createNodeClock()
  return {
    clock,
    random: createNodeRandom(),
    fileSystem: new NodeFileSystem(),
    transport: new WsTransport(clock),
    listeners: new WsListenerFactory({ clock, log }),
    process: createNodeProcess(),
    cpu: createNodeCpu(),
    mac: createNodeMac(),
    log,
  }
}

/** This process and its neighbours, for commands that start and stop nodes. */
export function nodeProcess(): Process {
  return createNodeProcess()
}

/** Tells that process from a later one with the same pid. */
export function processIdentityOf(pid: number): ProcessIdentity {
  return readProcessIdentity(pid)
}
