import { seededRandom } from '../../src/base/random.ts'
import { createNodeRandom } from '../../src/platform/node/node-random.ts'
import { createWebRandom } from '../../src/platform/web/web-random.ts'
import { randomContract } from './random-contract.ts'

randomContract('node', createNodeRandom)
randomContract('web', createWebRandom)
randomContract('seeded', () => seededRandom(42))
