// Removes the build output, so that a file deleted from src cannot live on in dist.
import { rmSync } from 'node:fs'

for (const output of ['dist', 'dist-benchmarks']) {
  rmSync(new URL(`../${output}`, import.meta.url), { recursive: true, force: true })
}
