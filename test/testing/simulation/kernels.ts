// Kernels for the tests of the simulator.
import { seededRandom } from '../../../src/base/random.ts'
import { createNodeFence } from '../../../src/platform/node/node-fence.ts'
import {
  SimulationKernel,
  type SimulationKernelOptions,
} from '../../../src/testing/simulation/simulation-kernel.ts'

export function newKernel(
  options: Partial<SimulationKernelOptions> & { readonly seed?: number } = {},
): SimulationKernel {
  const { seed = 1, ...rest } = options
  return new SimulationKernel({ random: seededRandom(seed), fence: createNodeFence(), ...rest })
}
