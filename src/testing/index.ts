// vltava/testing: a real cluster inside one process, the simulator for tests of producers and consumers, and the in-memory
// ports they are made of.
export { VltavaError } from '../model/errors.ts'
export { MemoryNetwork } from '../net/memory-transport.ts'
export { PoisonError } from '../platform/node/node-poison.ts'
export { MemoryFileSystem, type PowerLoss, randomPowerLoss } from '../storage/memory-file-system.ts'
export { ManualClock } from './manual-clock.ts'
export { MemoryMachine, MemoryProcess } from './memory-process.ts'
export { RecordingLog } from './recording-log.ts'
export type { ScenarioCluster } from './scenario/scenario-cluster.ts'
export type {
  ProcessMain,
  ProcessOptions,
  ScenarioProcess,
  SimulationProcess,
} from './scenario/scenario-process.ts'
export type { Scenario, SimulationReport } from './scenario/scenario-run.ts'
export type { Simulation, UntilOptions } from './scenario/simulation.ts'
export type { SimulationClock } from './scenario/simulation-clock.ts'
export { type SimulationSummary, simulate, simulateMany } from './simulate.ts'
export {
  DEFAULT_FAULTS,
  type ScenarioOptions,
  SIMULATION_FAULTS,
  type SimulateManyOptions,
  type SimulateOptions,
  type SimulationFault,
} from './simulate-options.ts'
export { SimulationError } from './simulation-error.ts'
export { type StartClusterOptions, startCluster } from './start-cluster.ts'
export type { Party, TestClientOptions, TestCluster } from './test-cluster.ts'
export type { TestSettingName, TestSettings } from './test-settings.ts'
