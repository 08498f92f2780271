import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createNodeProcess } from '../../src/platform/node/node-process.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { processContract } from './process-contract.ts'

processContract('memory', () => {
  const machine = new MemoryMachine()
  return {
    process: new MemoryProcess({ machine }),
    async startOther() {
      const other = new MemoryProcess({ machine })
      return { identity: other.identity, end: async () => other.kill() }
    },
  }
})

processContract('node', () => {
  const process = createNodeProcess()
  return {
    process,
    async startOther() {
      const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
      await once(child, 'spawn')
      // The name of the command has no parenthesis, so the plain split is right here.
      const startTime = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[21]!
      return {
        identity: { bootId: process.identity.bootId, pid: child.pid!, startTime },
        async end() {
          const exited = once(child, 'exit')
          child.kill('SIGKILL')
          await exited
        },
      }
    },
  }
})
