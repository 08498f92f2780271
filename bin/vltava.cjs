#!/usr/bin/env node
'use strict'
// The launcher. libuv reads UV_THREADPOOL_SIZE when its pool starts, which an ECMAScript module as entry cannot be
// earlier than: so a CommonJS file sets it and then loads the commands. 16 threads let as many fsyncs run at once.
process.env.UV_THREADPOOL_SIZE ??= '16'
import('../dist/cli/main.js').then(
  ({ main }) => main(process.argv.slice(2)),
  (error) => {
    const missing = error && error.code === 'ERR_MODULE_NOT_FOUND'
    console.error(missing ? `vltava is not built yet; run "npm run build" first (${error.message})` : error)
    process.exitCode = 1
  },
)
