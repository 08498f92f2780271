// vltava/testing: a real cluster inside one process, and the in-memory ports it runs on.
export { MemoryNetwork } from '../net/memory-transport.ts'
export { MemoryFileSystem, randomPowerLoss } from '../storage/memory-file-system.ts'
export { ManualClock } from './manual-clock.ts'
export { MemoryCluster, type MemoryClusterOptions } from './memory-cluster.ts'
export { MemoryMachine, MemoryProcess } from './memory-process.ts'
export { RecordingLog } from './recording-log.ts'
