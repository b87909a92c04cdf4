#!/usr/bin/env node
// Nothing is imported at the top: on an old Node this has to speak before anything that needs a newer one is loaded.
import('../node-version.ts').then(
  () => import('./program.ts').then(({ main }) => main(process.argv.slice(2))),
  ({ message }: Error) => {
    process.stderr.write(`${message}\n`)
    process.exitCode = 2
  },
)
