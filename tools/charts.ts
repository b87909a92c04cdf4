// Writes machines/README.md and the pictures it shows, from the charts themselves. With --check it only compares.
import { findOutdatedFiles, writeChartFiles } from './chart-files.ts'

if (!process.argv.includes('--check')) {
  await writeChartFiles()
} else {
  for (const file of await findOutdatedFiles()) {
    console.error(`${file} does not show the charts as they are. Run \`npm run charts\` and commit what it changes.`)
    process.exitCode = 1
  }
}
