// Checked by `tsc --noEmit`: every `@ts-expect-error` is a mistake that must not compile.
import {
  actor,
  escalate,
  exponential,
  PermanentError,
  plugin,
  restart,
  resume,
  start,
  stop,
  supervisor,
  task,
  toLogic,
  type ChildRef,
  type Failure,
  type Run,
  type Supervisor,
  type System,
  type Task,
} from 'rootcatch'
import { fromPromise, setup, type SnapshotFrom } from 'xstate'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expectType = <Wanted, Given>(_: Equal<Wanted, Given>): void => {}

declare const system: System

// Input and output of a task come from its body.
const resize = task(
  'resize',
  {
    timeout: '30s',
    retry: {
      attempts: 5,
      backoff: exponential({ from: '200ms', to: '10s' }),
      when: (error) => !(error instanceof TypeError),
    },
    fallback: (_input, failure) => ({ key: 'placeholder.png', because: failure.kind }),
  },
  async (input: { url: string }, ctx) => {
    if (ctx.attempt > 3) ctx.cancel('enough')
    if (input.url === '') throw new PermanentError('no url')
    return { key: input.url, width: 100 }
  },
)
const resized = system.run(resize, { url: 'https://example.com' })
type Resized = Awaited<typeof resized>
expectType<{ key: string; width: number } | { key: string; because: Failure['kind'] }, Resized>(true)
expectType<string, Resized['key']>(true)
// @ts-expect-error the input has no such shape
system.run(resize, { uri: 'x' })
// @ts-expect-error the input is missing
system.run(resize)
// @ts-expect-error an unknown option of a run
system.run(resize, { url: '' }, { prioritty: 1 })
system.run(resize, { url: '' }, { priority: 1, delay: '5s', lane: 'a', dedupe: { key: 'k', for: '1m' } })

// Without options, without input, with progress.
const ping = task('ping', () => 'pong' as const)
expectType<'pong', Awaited<ReturnType<typeof runPing>>>(true)
const runPing = (): Run<'pong'> => system.run(ping) as Run<'pong'>
const steps = task('steps', async function* (count: number) {
  for (let step = 1; step <= count; step += 1) yield { step }
  return 'end'
})
const stepping = system.run(steps, 3)
expectType<Run<string, { step: number }>, typeof stepping>(true)
async function watch(): Promise<void> {
  for await (const progress of stepping) expectType<number, typeof progress.step>(true)
}
void watch

// What a schedule makes has no input.
task('tick', { every: '1h' }, () => 1)
task('tick', { cron: '0 3 * * *', timezone: 'Europe/Berlin', overlap: true }, (_: { full: boolean } | undefined) => 1)
task('tick', { every: '1h', input: z.object({ full: z.boolean() }).optional() }, (input) => input?.full)
start(task('tick', { every: '1h' }, () => 1))
// @ts-expect-error a schedule cannot give the input it needs
task('tick', { every: '1h' }, (input: { full: boolean }) => input.full)
// @ts-expect-error nor can a cron line
task('tick', { cron: '0 3 * * *' }, (input: { full: boolean }) => input.full)
// @ts-expect-error nor where a schema asks for it
task('tick', { every: '1h', input: z.object({ full: z.boolean() }) }, (input) => input.full)
// @ts-expect-error no duration
task('tick', { every: '1 hour' }, () => 1)

// A schema types the input on both sides: given as its input, taken as its output.
const schema = z.object({ at: z.string().transform((text) => new Date(text)) })
const remind = task('remind', { input: schema, lane: (input) => input.at.toISOString() }, (input) => input.at.getTime())
expectType<number, Awaited<ReturnType<typeof runRemind>>>(true)
const runRemind = (): Run<number> => system.run(remind, { at: '2030-01-01' }) as Run<number>
// @ts-expect-error given as text, not as a date
system.run(remind, { at: new Date() })

// Where an option takes the input, annotate it; it must agree with the body.
task('lanes', { lane: (input: { user: string }) => input.user }, (input: { user: string; text: string }) => input.text)
// @ts-expect-error the body takes a number, the lane an object
task('lanes', { lane: (input: { user: string }) => input.user }, (input: number) => input)

// Unknown and wrong options.
// @ts-expect-error no such option
task('typo', { retires: { attempts: 2 } }, () => 1)
// @ts-expect-error no such unit
task('typo', { timeout: '30 sec' }, () => 1)
task('isolated', { isolate: { module: import.meta.url, memory: 64, grace: '1s' } }, () => 1)
// @ts-expect-error true, or an object
task('typo', { isolate: 'yes' }, () => 1)
// @ts-expect-error backoff is made by exponential()
task('typo', { retry: { backoff: { from: 1 } } }, () => 1)
// @ts-expect-error no such strategy
supervisor('typo', { strategy: 'one' }, [])
// @ts-expect-error no such restart type
supervisor('typo', { restart: 'always' }, [])
// @ts-expect-error children are definitions
supervisor('typo', [() => 1])
// @ts-expect-error no such hook
plugin('typo', { pluginErorr: () => 1 })

// Names are kept as they are written.
const media = supervisor('media', { catch: () => resume }, [resize, ping])
expectType<Supervisor<'media'>, typeof media>(true)
expectType<'resize', (typeof resize)['name']>(true)
const named: Task<number, string> = task('named', (input: number) => String(input))
void named

// Decisions. Below the root all four; at the root there is nobody to escalate to.
supervisor('all', { catch: (failure) => (failure.kind === 'timeout' ? escalate : restart) }, [])
supervisor('value', { catch: () => resume(0) }, [])
// @ts-expect-error a text is no decision
supervisor('text', { catch: () => 'restart' }, [])
// @ts-expect-error a decision is made at once
supervisor('late', { catch: async () => restart }, [])
void start(media, { catch: () => stop })
void start(media, { catch: (failure) => (failure.path === 'media' ? restart : resume) })
// @ts-expect-error nobody is above the root
void start(media, { catch: () => escalate })
// @ts-expect-error no such option
void start(media, { brokr: undefined })

// Actors take the input of their logic, and refs give its snapshots.
const inventory = setup({ types: { input: {} as { shelf: number }, context: {} as { items: number } } }).createMachine({
  context: ({ input }) => ({ items: input.shelf }),
})
actor('inventory', inventory, { input: { shelf: 1 }, ready: (snapshot) => snapshot.context.items > 0 })
// @ts-expect-error the input is missing
actor('inventory', inventory)
// @ts-expect-error the input has no such shape
actor('inventory', inventory, { input: { shelf: 'a' } })
actor(
  'job',
  fromPromise(async () => 1),
)
const spawned = system.spawn(actor('inventory', inventory, { input: { shelf: 1 } }), { under: 'media' })
expectType<SnapshotFrom<typeof inventory>, ReturnType<Awaited<typeof spawned>['getSnapshot']>>(true)
const lamp = setup({ types: { events: {} as { type: 'dim'; level: number } } }).createMachine({})
void system.spawn(actor('lamp', lamp)).then((ref) => {
  ref.send({ type: 'dim', level: 3 })
  // @ts-expect-error the machine takes no such event
  ref.send({ type: 'dimm', level: 3 })
})
declare const anyRef: ChildRef
anyRef.send({ type: 'whatever', more: 1 })

// Events know their data.
system.on('job.done', (event) => expectType<number, typeof event.attempt>(true))
system.on('failure.decided', ({ failure, decision }) => {
  expectType<Failure, typeof failure>(true)
  expectType<'resume' | 'restart' | 'stop' | 'escalate', typeof decision>(true)
})
// @ts-expect-error no such event
system.on('job.finished', () => {})

// Definitions inside other machines.
setup({ actors: { resize: toLogic(resize), media: toLogic(media) } }).createMachine({
  invoke: {
    src: 'resize',
    input: { url: 'x' },
    onDone: { actions: ({ event }) => expectType<string, typeof event.output.key>(true) },
  },
})
