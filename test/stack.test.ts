import { describe, expect, test } from 'vitest'
import { framesOf } from '../src/stack.ts'

const here = process.cwd()

/** A stack of these frames, as V8 writes it. */
function stackOf(...frames: readonly string[]): string {
  return ['Error: x', ...frames.map((frame) => `    at ${frame}`)].join('\n')
}

describe('framesOf', () => {
  test.each([
    [`work (file://${here}/app/a.ts:1:2)`, 'at work (app/a.ts:1:2)'],
    [`work (${here}/app/a.ts:1:2)`, 'at work (app/a.ts:1:2)'],
    [`async file://${here}/app/a%20b.ts:1:2`, 'at async app/a b.ts:1:2'],
    [`new Work (${here}/app/a.ts:1:2)`, 'at new Work (app/a.ts:1:2)'],
    [`Work.<anonymous> [as run] (${here}/app/a.ts:1:2)`, 'at Work.<anonymous> [as run] (app/a.ts:1:2)'],
    ['work (/elsewhere/a.ts:1:2)', 'at work (/elsewhere/a.ts:1:2)'],
    [`work (${here}/node_modules/undici/index.js:1:2)`, 'at work (node_modules/undici/index.js:1:2)'],
    [`work (${here}/test/a.ts:1:2)`, 'at work (test/a.ts:1:2)'],
    [`work (${here}-other/a.ts:1:2)`, `at work (${here}-other/a.ts:1:2)`],
    ['eval (eval at work (file:///a.ts:1:2), <anonymous>:1:1)', expect.stringContaining('at eval')],
    ['odd (file://%zz:1:2)', 'at odd (file://%zz:1:2)'],
  ])('shows a frame of the user: %s', (frame, line) => {
    expect(framesOf(stackOf(frame), 'x')).toEqual([line])
  })

  test.each([
    ['process.processTicksAndRejections (node:internal/process/task_queues:105:5)', 'Node'],
    ['node:internal/main/run_main_module:36:49', 'Node'],
    ['Array.map (<anonymous>)', 'Node'],
    ['async Promise.all (index 0)', 'Node'],
    [`run (file://${here}/src/actors/job.ts:1:2)`, 'rootcatch'],
    [`async ${here}/src/system.ts:1:2`, 'rootcatch'],
    [`step (${here}/machines/job.ts:1:2)`, 'rootcatch'],
    [`async onMessage (${here}/node_modules/piscina/dist/worker.js:1:2)`, 'piscina'],
    [`Actor.send (${here}/node_modules/xstate/dist/xstate.js:1:2)`, 'XState'],
  ])('counts a frame of the machinery: %s', (frame, owner) => {
    expect(framesOf(stackOf(frame), 'x')).toEqual([`… 1 frame of ${owner}`])
    expect(framesOf(stackOf(frame, `work (${here}/a.ts:1:1)`, frame), 'x')).toEqual([
      'at work (a.ts:1:1)',
      `… 2 frames of ${owner}`,
    ])
  })

  test('names each owner once', () => {
    const frames = [`a (${here}/node_modules/xstate/a.js:1:1)`, `b (${here}/src/b.ts:1:1)`, 'node:c:1:1', 'node:d:1:1']
    expect(framesOf(stackOf(...frames), 'x')).toEqual(['… 4 frames of Node, rootcatch and XState'])
    expect(framesOf(stackOf(...frames.slice(1)), 'x')).toEqual(['… 3 frames of Node and rootcatch'])
  })

  test('shows 30 frames at most, and reads no endless stack', () => {
    expect(framesOf(stackOf(...Array.from({ length: 100 }, (_, n) => `/a.ts:${n}:1`)), 'x')).toHaveLength(30)
    expect(framesOf(`Error: x\n    at ${':1'.repeat(1_000_000)}x`, 'x')).toHaveLength(1)
    expect(framesOf('no frames', 'x')).toEqual([])
  })
})
