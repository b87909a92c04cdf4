import { expect, test } from 'vitest'
import { createActor } from 'xstate'
import { jobMachine } from 'rootcatch/machines'
import { inputOf, StartContext, StartInput, type StartingJob } from '../../src/actors/job-start.ts'
import { owner } from '../../src/actors/owner-relay.ts'

const job = {
  slot: 3,
  id: '7',
  path: 'app/work/job:7',
  lease: { attempts: 2, charged: 1, putOffs: 4 },
  task: { retry: { attempts: 5 }, fallback: () => 1 },
} as unknown as StartingJob

test.each([job, { ...job, slot: 0, task: { ...job.task, fallback: undefined } } as StartingJob])(
  'a job begins with what its chart makes of its input',
  (each) => {
    const { context } = createActor(jobMachine, { input: inputOf(each) }).getSnapshot()
    const own = new StartContext(each)
    expect(own).toStrictEqual(context)
    expect(Object.entries(own)).toEqual(Object.entries(context))
    expect(Object.getPrototypeOf(own)).toBe(Object.prototype)
  },
)

test('the input of an actor of XState is the same, and names its owner', () => {
  const { [owner]: named, ...input } = new StartInput(job)
  expect(named).toBe(job)
  expect(input).toStrictEqual(inputOf(job))
  expect(inputOf(job)).toEqual({
    slot: 3,
    id: '7',
    path: 'app/work/job:7',
    attempt: 3,
    charged: 1,
    putOffs: 4,
    attempts: 5,
    hasFallback: true,
  })
})
