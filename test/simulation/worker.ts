// A process that runs the seeds it is given, one after the other.
import type { RunRequest } from './messages.ts'
import { runSeed } from './run-seed.ts'

process.on('message', (request: RunRequest) => {
  runSeed(request).then(
    (report) => process.send!(report),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
// The runner is gone.
process.on('disconnect', () => process.exit(0))
