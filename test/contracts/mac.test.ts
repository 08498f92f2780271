import { createNodeMac } from '../../src/platform/node/node-mac.ts'
import { macContract } from './mac-contract.ts'

macContract('node', createNodeMac)
