import { writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bullmq } from 'rootcatch/bullmq'
import { describe, expect, test } from 'vitest'
import { composeScript } from '../../src/brokers/bullmq-engine.ts'
import { engineId, engineQueue, hashTag, idOfEngine, pathOfQueue } from '../../src/brokers/bullmq-names.ts'
import { root, runNode } from '../support/child.ts'

describe('bullmq()', () => {
  test.each([
    [undefined, /bullmq\(\) got options undefined/],
    [{}, /got connection undefined.*Give a URL like 'redis:\/\/10\.0\.0\.3:6379'/],
    [{ connection: 6379 }, /got connection 6379/],
    [{ connection: 'redis://x', prefx: 'a' }, /unknown option "prefx"\. Did you mean "prefix"\?/],
    [{ connection: 'redis://x', prefix: 'a:b' }, /got prefix "a:b".*without colons/],
    [{ connection: 'redis://x', lease: '30 sec' }, /got lease "30 sec"/],
    [{ connection: 'redis://x', lostLimit: 0 }, /got lostLimit 0/],
    [{ connection: 'redis://x', limits: { 'app/x': { concurrency: 0 } } }, /limits of app\/x.* got concurrency 0/],
    [{ connection: 'redis://x', limits: { 'app/x': { rat: 1 } } }, /Did you mean "rate"\?/],
    [{ connection: 'redis://x', catch: 'me' }, /got catch "me"/],
  ])('refuses %j with what to write', (options, message) => {
    expect(() => bullmq(options as never)).toThrow(message)
  })

  test('opens nothing and loads no peer before it is given to a system', async () => {
    const script = `
      const { bullmq } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/src/brokers/bullmq.js')).href)})
      bullmq({ connection: 'redis://127.0.0.1:1' })
      const { createRequire } = await import('node:module')
      const loaded = Object.keys(createRequire(import.meta.url).cache ?? {}).filter((file) => /ioredis|bullmq/.test(file))
      console.log(JSON.stringify(loaded))`
    expect((await runNode(['--input-type=module', '-e', script])).stdout.trim()).toBe('[]')
  })

  test.each(['ioredis', 'bullmq'])('a missing %s is told with the command to run', async (missing) => {
    const hooks = join(mkdtempSync(join(tmpdir(), 'rootcatch-')), 'hooks.mjs')
    writeFileSync(
      hooks,
      `import { registerHooks } from 'node:module'
      registerHooks({ resolve(specifier, context, next) {
        if (specifier.split('/')[0] !== '${missing}') return next(specifier, context)
        throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
      } })`,
    )
    const script = `
      const { bullmq } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/src/brokers/bullmq.js')).href)})
      const clock = { now: Date.now, setTimeout, clearTimeout }
      await bullmq({ connection: 'redis://127.0.0.1:1' }).open(clock).catch((error) => console.log(error.code + ': ' + error.message))`
    const { stdout } = await runNode(['--import', pathToFileURL(hooks).href, '--input-type=module', '-e', script])
    expect(stdout.trim()).toBe(
      `missing-package: rootcatch/bullmq needs the package "${missing}", which is not installed. Run: npm install bullmq ioredis`,
    )
  })

  test('refuses an engine whose scripts are others than it knows', () => {
    const settings = { lease: 30_000, lostLimit: 3, retention: { for: 60_000, last: 10 }, events: 0, metrics: 0 }
    expect(() => composeScript({ addDelayedJob: { content: '', keys: 7 } }, settings, false)).toThrow(
      'the bullmq that is installed has another script addDelayedJob than this rootcatch knows. Run: npm install bullmq@6.7',
    )
  })
})

describe('names in the engine', () => {
  test.each(['1-1', '812', 'app/resize@2026-11-21T12:00:00.000Z', 'a b', 'x#2', '__proto__'])(
    'an id %j has no colon there, and is not only digits',
    (id) => expect(engineId(id)).toMatch(/^j-[^:]+$/),
  )

  test.each(['1-1', '812', 'a b', 'x#2', 'bull:17'])('an id %j is found again', (id) => {
    expect(idOfEngine(engineId(id), undefined)).toBe(id)
  })

  test('ids that are alike stay apart, however unusual', () => {
    const ids = ['a', 'a:', 'a%', 'a%3A', '漢', '漢#2', 'x'.repeat(300), `${'x'.repeat(300)}#2`, '', '\n', 'a\n']
    expect(new Set(ids.map(engineId)).size).toBe(ids.length)
    expect(engineId('漢#2')).toBe(`${engineId('漢')}#2`)
  })

  test.each(['app/resize', 'a:b~c %41\n{x}', '%', '漢/字'])('a queue %j is found again', (path) => {
    expect(engineQueue(path)).not.toMatch(/[:~\n]/)
    expect(pathOfQueue(engineQueue(path))).toBe(path)
  })

  test('a prefix is in braces, unless it has some', () => {
    expect([hashTag('app'), hashTag('{app}-queue'), hashTag('x{y}')]).toEqual(['{app}', '{app}-queue', 'x{y}'])
  })
})
