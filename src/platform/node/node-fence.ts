/** Runs the steps one after the other; see `createNodeFence`. */
export type Fence = (steps: readonly (() => void)[]) => void

/**
 * A fence between the steps of a simulation: each step runs only when everything the one before it set off in this turn
 * is over, which are promise reactions, microtasks and next ticks to any depth. All steps of one call run in the same
 * phase of the event loop, so that nothing else of the process comes in between.
 *
 * The function is taken from the platform when this is called: what replaces it later does not matter.
 */
export function createNodeFence(): Fence {
  const { setImmediate } = globalThis
  return (steps) => {
    for (const step of steps) setImmediate(step)
  }
}
