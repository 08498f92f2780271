import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // A deadline against hangs, not a measure of speed: the end-to-end tests start real processes on two shared cores.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    retry: 0,
  },
})
