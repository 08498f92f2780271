// The entry of the package for Node: the client, its errors and its types.
export * from './client/node.ts'
