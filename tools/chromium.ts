// Where the browser of tests, benches and pictures comes from: an environment variable, the PATH, and at last Debian's
// packages. Run as a program it only finds one, so that a machine can be prepared: `npx node tools/chromium.ts`.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export type FoundChromium = { readonly path: string } | { readonly missing: string }

const APT = 'apt-get'
const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const REMEDY = 'Install chromium, or set ROOTCATCH_CHROMIUM to the path of a browser.'

/** With CI=true a missing one is an error. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): FoundChromium {
  const found = named(env['ROOTCATCH_CHROMIUM']) ?? onPath(env) ?? installed(env)
  if ('missing' in found && env['CI'] === 'true') throw new Error(found.missing)
  return found
}

function named(given: string | undefined): FoundChromium | undefined {
  if (given === undefined || given === '') return undefined
  return isProgram(given) ? { path: given } : { missing: `ROOTCATCH_CHROMIUM is "${given}", which is no program.` }
}

function onPath({ PATH = '' }: NodeJS.ProcessEnv): FoundChromium | undefined {
  for (const name of NAMES) {
    for (const folder of PATH.split(delimiter)) {
      if (folder !== '' && isProgram(join(folder, name))) return { path: join(folder, name) }
    }
  }
  return undefined
}

function installed(env: NodeJS.ProcessEnv): FoundChromium {
  if (env['ROOTCATCH_NO_INSTALL'] === '1')
    return { missing: `There is no Chromium, and none may be installed. ${REMEDY}` }
  if (process.getuid?.() !== 0) return { missing: `There is no Chromium on the PATH. ${REMEDY}` }
  console.error('There is no Chromium: apt-get installs chromium (ROOTCATCH_NO_INSTALL=1 leaves that out).')
  for (const words of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    spawnSync(APT, ['-q', '-o', 'DPkg::Lock::Timeout=120', ...words], {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: 'ignore',
    })
  }
  return onPath(env) ?? { missing: `apt-get could not install chromium. ${REMEDY}` }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

if (import.meta.main) {
  const found = findChromium()
  console.log('missing' in found ? found.missing : `Chromium: ${found.path}`)
}
