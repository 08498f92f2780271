import type { Random } from '../../base/random.ts'
import { exponential, oneOf } from '../simulation/draw.ts'
import type { ScenarioProcess } from './scenario-process.ts'
import type { World } from './world.ts'

export interface ProcessCrasherOptions {
  readonly world: World
  readonly processes: readonly ScenarioProcess[]
}

/** Kills processes of the scenario at drawn moments, and starts them again some time later: the fault `crash-process`. */
export class ProcessCrasher {
  readonly #options: ProcessCrasherOptions
  readonly #random: Random
  #isOver = false

  constructor(options: ProcessCrasherOptions) {
    this.#options = options
    this.#random = options.world.streams.stream('crasher')
  }

  start(): void {
    const { kernel, plan } = this.#options.world
    kernel.schedule(kernel.nowMs + plan.faultEveryMs * exponential(this.#random), () => {
      if (this.#isOver) return
      this.#strike()
      this.start()
    })
  }

  stop(): void {
    this.#isOver = true
  }

  #strike(): void {
    const { world, processes } = this.#options
    const running = processes.filter(({ isRunning }) => isRunning)
    if (running.length === 0) return
    const victim = oneOf(this.#random, running)
    world.story.add(`fault crash-process ${victim.name}`)
    world.countFault('crash-process')
    victim.crash()
    const { kernel, plan } = world
    const delayMs = this.#random.below(5) === 0 ? 0 : plan.faultLastsMs * exponential(this.#random)
    kernel.schedule(kernel.nowMs + delayMs, () => {
      if (!this.#isOver && !victim.isRunning) victim.restart()
    })
  }
}
