import { globSync, readdirSync, readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { findViolations } from './support/architecture.ts'
import { importsOf } from './support/imports.ts'
import { withoutPackages } from './support/without-packages.ts'

describe('the repository', () => {
  test('keeps every import rule', async () => {
    const files = new Map<string, string>()
    for await (const path of glob('{src,machines,examples,bench}/**/*.ts', withoutPackages)) {
      files.set(path.replaceAll('\\', '/'), readFileSync(path, 'utf8'))
    }
    expect(files.size).toBeGreaterThan(0)
    expect(findViolations(files).join('\n')).toBe('')
  })
})

describe('CONTRIBUTING.md', () => {
  const map = readFileSync('CONTRIBUTING.md', 'utf8')
    .split('\n## ')
    .find((part) => part.startsWith('Where things are'))

  test('says of every room, and of every file that stands in none, where it belongs', () => {
    const places = readdirSync('src', { withFileTypes: true })
    const names = places.map((place) => (place.isDirectory() ? `src/${place.name}` : place.name))
    expect(names).toContain('src/actors')
    expect(names.filter((name) => map?.includes(`\`${name}\``) !== true)).toEqual([])
  })

  test('names no file that is gone', () => {
    const named = [...(map ?? '').matchAll(/`([\w/-]+\.(?:ts|md))`/g)].map(([, name]) => name as string)
    const files = globSync('{src,machines,test,examples,bench,tools,docs/decisions}/**/*.{ts,md}', withoutPackages)
    expect(
      named.filter((name) => !files.some((path) => path.replaceAll('\\', '/').endsWith(`/${name.split('/').at(-1)}`))),
    ).toEqual([])
  })
})

describe('a broken rule', () => {
  test.each([
    ['machines/job.ts', `import { allows } from '../src/retry.ts'`, 'opens in Stately'],
    ['machines/job.ts', `import { readFileSync } from 'node:fs'`, 'opens in Stately'],
    ['src/node-version.ts', `import 'node:process'`, 'before it speaks'],
    ['src/duration.ts', `import { escalate } from './failure.ts'`, 'leaves import only leaves'],
    ['src/errors.ts', `import type { Run } from './run.ts'`, 'leaves import only leaves'],
    ['src/options.ts', `export { z } from 'zod'`, 'leaves import only leaves'],
    ['src/retry.ts', `import { resume } from './decision.ts'`, 'tested by a table'],
    ['src/failure.ts', `import { Emitter } from './events.ts'`, 'a failure is a record'],
    ['src/events.ts', `import type { Run } from './run.ts'`, 'those who watch'],
    ['src/task.ts', `import { Failure } from './failure.ts'`, 'a definition is data'],
    ['src/task.ts', `import type { System } from './system.ts'`, 'a definition is data'],
    ['src/actor.ts', `import { createActor } from 'xstate'`, 'a definition is data'],
    ['src/actor.ts', `import { createActor } from 'xstate'`, 'one seam'],
    ['src/actors/job.ts', `import { start } from '../start.ts'`, 'nothing of start'],
    ['src/actors/job.ts', `import { memory } from '../brokers/memory.ts'`, 'nothing of start'],
    ['src/isolate/thread.ts', `import { Attempt } from '../actors/attempt.ts'`, 'nothing of the runtime'],
    ['src/task.ts', `import { Threads } from './isolate/threads.ts'`, 'only the worker'],
    ['src/brokers/memory.ts', `import { task } from '../task.ts'`, 'plain records'],
    ['src/brokers/memory.ts', `import { sqlite } from './sqlite.ts'`, 'plain records'],
    ['src/run.ts', `import { toPromise } from 'xstate'`, 'one seam'],
    ['src/bot/poller.ts', `const { createActor } = await import('xstate')`, 'one seam'],
    ['src/plugins/notify.ts', `import { Tree } from '../actors/tree.ts'`, 'what every user has'],
    ['src/plugins/open-telemetry.ts', `import { trace } from '@opentelemetry/api'`, 'what every user has'],
    ['src/start.ts', `import { Bot } from './bot/bot.ts'`, 'nobody else pays'],
    ['src/stats.ts', `import { System } from './system.ts'`, 'stats and inspector watch'],
    ['src/start.ts', `import { task } from './index.ts'`, 'an index is the surface'],
    ['src/actors/job.ts', `import { jobMachine } from '../../machines/index.ts'`, 'an index is the surface'],
    ['src/cli/tour/shop.ts', `import { task } from '../../task.ts'`, 'what everybody has'],
    ['examples/spawn-actors.ts', `import { task } from '../src/task.ts'`, 'by the package name'],
    ['bench/spawn.ts', `import { supervisor } from '../dist/src/supervisor.js'`, 'by the package name'],
    ['src/utils.ts', '', 'a thing lives with its noun'],
    ['src/bot/types/update.ts', '', 'a thing lives with its noun'],
    ['src/index.ts', `export { task } from './task.ts'`, 'must import node-version.ts first'],
    ['src/testing/index.ts', `import './clock.ts'\nimport '../node-version.ts'`, 'must import node-version.ts first'],
  ])('in %s, by %s, prints its reason', (path, text, reason) => {
    expect(findViolations(new Map([[path, text]])).join('\n')).toContain(reason)
  })

  test('by a cycle, prints the way, also when only types are imported', () => {
    const files = new Map([
      ['src/run.ts', `import type { System } from './system.ts'`],
      ['src/stats.ts', `import { Run } from './run.ts'`],
      ['src/system.ts', `import { Run } from './run.ts'\nimport { stats } from './stats.ts'`],
    ])
    expect(findViolations(files)).toEqual([
      expect.stringContaining('src/run.ts → src/system.ts → src/run.ts is a cycle'),
      expect.stringContaining('src/run.ts → src/system.ts → src/stats.ts → src/run.ts is a cycle'),
    ])
  })
})

describe('a kept rule', () => {
  test.each([
    ['machines/index.ts', `export { jobMachine } from './job.ts'`],
    ['src/options.ts', `import { InvalidOptionError } from './errors.ts'`],
    ['src/retry.ts', `import { parseDuration } from './duration.ts'`],
    ['src/task.ts', `import type { Failure } from './failure.ts'\nimport type { AnyActorLogic } from 'xstate'`],
    ['src/actors/job.ts', `import { jobMachine } from '../../machines/job.ts'\nimport { createActor } from 'xstate'`],
    ['src/actors/worker.ts', `const { Threads } = await import('../isolate/threads.ts')`],
    ['src/isolate/thread.ts', `import { isGenerator } from '../generator.ts'`],
    ['src/brokers/memory.ts', `import type { Broker } from './broker.ts'\nimport { queue } from './memory-queue.ts'`],
    ['src/start.ts', `import { memory } from './brokers/memory.ts'`],
    ['src/plugins/logging.ts', `import { plugin } from '../plugin.ts'\nimport type * as Api from '@opentelemetry/api'`],
    ['src/index.ts', `import './node-version.ts'\nexport { task } from './task.ts'`],
    ['src/testing/index.ts', `import '../node-version.ts'\nexport { settle } from './settle.ts'`],
    ['examples/spawn-actors.ts', `import { start, task } from 'rootcatch'\nimport { memory } from 'rootcatch/testing'`],
    ['bench/spawn.ts', `import { createMachine } from 'xstate'\nimport { measure } from './measure.ts'`],
  ])('in %s prints nothing', (path, text) => {
    expect(findViolations(new Map([[path, text]]))).toEqual([])
  })
})

describe('importsOf', () => {
  test('reads every form of an import and none of its pictures in comments', () => {
    const text = `
      import './a.ts'
      import type { B } from './b.ts'
      import { c, type C } from "../c.ts"
      import d, * as rest from 'd'
      export * from './e.ts'
      export type { F } from './f.ts'
      import {
        g,
        h,
      } from 'g'
      import type from './i.ts'
      // import { x } from 'x'
      /** Like \`import { y } from 'y'\`.
       * import { y } from 'y'
       */
      export const z = 'from'
      const later = async () => import('./j.ts')
    `
    expect(importsOf('src/x/y.ts', text)).toEqual(
      [
        ['src/x/a.ts', false],
        ['src/x/b.ts', true],
        ['src/c.ts', false],
        ['d', false],
        ['src/x/e.ts', false],
        ['src/x/f.ts', true],
        ['g', false],
        ['src/x/i.ts', false],
        ['src/x/j.ts', false],
      ].map(([to, typeOnly]) => ({ from: 'src/x/y.ts', to, typeOnly })),
    )
  })
})
