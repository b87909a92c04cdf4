/** Two processes of a fleet on one Redis: one asks for jobs, the other works, and each failure comes back where it is awaited. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure, resume, start, supervisor, task, type System } from 'rootcatch'
import { bullmq } from 'rootcatch/bullmq'

const greet = task('greet', async (name: string) => {
  if (name === '') throw new TypeError('nobody to greet')
  return `hello ${name}`
})
const app = supervisor('app', [greet])
const open = (url: string): Promise<System> => start(app, { broker: bullmq({ connection: url }), catch: () => resume })

if (process.argv[2] === 'work') {
  const system = await open(process.argv[3] as string)
  process.once('SIGTERM', () => void system.stop()) // gives back what it holds
} else {
  await ask()
}

async function ask(): Promise<void> {
  const redis = await findRedis()
  const worker = redis && spawn(process.execPath, [import.meta.filename, 'work', redis.url], { stdio: 'inherit' })
  // Where there is no Redis, the same in one process.
  const system = await (redis === undefined ? start(app, { catch: () => resume }) : open(redis.url))
  if (redis !== undefined) system.pause(greet) // this process only asks
  console.log(await system.run(greet, 'Ada'))
  const outcome = await system.run(greet, '').settled()
  if (outcome.failure instanceof Failure)
    console.log(String(outcome.failure.error), 'in', outcome.failure.trail[0]?.path)
  const [letter] = await system.dead.list()
  console.log(`dead letters: ${letter?.task}`)
  await system.stop()
  if (worker !== undefined) await end(worker, 'SIGTERM')
  await redis?.end()
}

/** A server for as long as this takes. */
async function findRedis(): Promise<{ readonly url: string; readonly end: () => Promise<void> } | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
  const port = await freePort()
  const log = ['--appendonly', 'yes', '--save', '']
  const server = spawn('redis-server', ['--port', String(port), '--dir', folder, ...log], { stdio: 'ignore' })
  while (spawnSync('redis-cli', ['-p', String(port), 'ping']).status !== 0) await sleep(20)
  const stop = async (): Promise<void> => {
    await end(server, 'SIGTERM')
    rmSync(folder, { recursive: true })
  }
  return { url: `redis://127.0.0.1:${port}`, end: stop }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill(signal)
  })
}

// prints:
// hello Ada
// TypeError: nobody to greet in app
// dead letters: app/greet
