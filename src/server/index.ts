// vltava/server: embed a node in a process of your own.

export { type ConfigSources, type NodeConfig, readConfig } from './config.ts'
export { CONFIG_TABLE } from './config-table.ts'
export type { Environment } from './environment.ts'
export { createLogger } from './logger.ts'
export { createNodeEnvironment } from './node-environment.ts'
export { NodeServer, type NodeServerOptions } from './node-server.ts'
