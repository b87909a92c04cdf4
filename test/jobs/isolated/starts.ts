import { start, task } from 'rootcatch'

export const work = task('work', { isolate: true }, () => 1)

// Nobody awaits it, and nobody catches: as many a main file is written.
void main()

async function main(): Promise<void> {
  const system = await start(work).catch((error: unknown) => error as Error)
  console.log(system instanceof Error ? (system.cause as Error).message : 'started')
}
