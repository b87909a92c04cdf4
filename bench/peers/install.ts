import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Installs the peers of `bench/peers` where they are not there yet. False where that fails, said on stderr. */
export function installPeers(): boolean {
  if (existsSync(`${folder}node_modules/.package-lock.json`)) return true
  console.error('Installing what is compared with: npm ci in bench/peers')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] })
  if (status !== 0) console.error('npm ci in bench/peers failed: its rows are left out')
  return status === 0
}
