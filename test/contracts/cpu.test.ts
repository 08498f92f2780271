import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { createWebCpu } from '../../src/platform/web/web-cpu.ts'
import { cpuContract } from './cpu-contract.ts'

cpuContract('node', createNodeCpu)
cpuContract('node without the native module', () => createNodeCpu(null))
cpuContract('web', createWebCpu)
