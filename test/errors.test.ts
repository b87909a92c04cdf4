import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { escalate } from '../src/decision.ts'
import * as ofBots from '../src/bot/errors.ts'
import { isBranded } from '../src/brand.ts'
import * as ofAll from '../src/errors.ts'
import { hostileValues } from './support/hostile.ts'

const {
  AnswerError,
  BrokerError,
  CancelledError,
  ChildRestartingError,
  ChildRunningError,
  ChildStoppedError,
  DuplicateNameError,
  FatalError,
  InputError,
  InvalidDecisionError,
  InvalidOptionError,
  IsolateError,
  LeaseLostError,
  MissingPackageError,
  PayloadError,
  PermanentError,
  PluginError,
  PluginTriggerError,
  RestartLimitError,
  RootcatchError,
  StalledError,
  SupervisorStoppedError,
  SystemStoppedError,
  TimeoutError,
  UnknownChildError,
  UnknownOptionError,
  UnknownJobError,
  UnknownPathError,
  UnknownTaskError,
} = { ...ofAll, ...ofBots }

afterEach(() => vi.resetModules())

const classes = new Map(Object.entries({ ...ofAll, ...ofBots }))
const job = 'app/media/resize/job:812'
const payload = `input.user.born of task "resize" is a Date, which JSON cannot keep. Pass toISOString().`
const newer =
  './app.db was written by a newer rootcatch (schema 7, this one knows 5). Update rootcatch, or use another file.'
const yes = (): boolean => true

/** A row per sentence: the class, its code, an instance, its text. */
const rows: readonly (readonly [name: string, code: string, error: Error, message: string])[] = [
  [
    'UnknownOptionError',
    'unknown-option',
    new UnknownOptionError('task "resize"', 'retires', ['timeout', 'retry', 'plugins']),
    'task "resize" got an unknown option "retires". Did you mean "retry"?',
  ],
  [
    'UnknownOptionError',
    'unknown-option',
    new UnknownOptionError('task "resize"', 'colour', ['timeout', 'retry', 'plugins']),
    'task "resize" got an unknown option "colour". It knows: timeout, retry, plugins.',
  ],
  [
    'InvalidOptionError',
    'invalid-option',
    new InvalidOptionError(
      'supervisor "shop"',
      'strategy',
      'one',
      `Use 'one-for-one', 'one-for-all' or 'rest-for-one'.`,
    ),
    `supervisor "shop" got strategy "one" (string). Use 'one-for-one', 'one-for-all' or 'rest-for-one'.`,
  ],
  [
    'DuplicateNameError',
    'duplicate-name',
    DuplicateNameError.ofSiblings('supervisor "media"', 'resize', 1, 3),
    'supervisor "media" has two children named "resize", the 1st and the 3rd. Rename one of them.',
  ],
  [
    'DuplicateNameError',
    'duplicate-name',
    DuplicateNameError.ofSiblings('supervisor "media"', 'resize', 11, 22),
    'supervisor "media" has two children named "resize", the 11th and the 22nd. Rename one of them.',
  ],
  [
    'DuplicateNameError',
    'duplicate-name',
    DuplicateNameError.ofPlaces('task "resize"', 'app/a/resize', 'app/b/resize'),
    'task "resize" stands at app/a/resize and at app/b/resize. Give each place its own definition.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofExport('resize', 'src/images.ts'),
    'task "resize" has isolate: true, but src/images.ts does not export it. Export it: export const resize = task(…).',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofExport('re-size', 'src/images.ts'),
    'task "re-size" has isolate: true, but src/images.ts does not export it. Export it: export const name = task(…).',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofExports('resize', 'src/images.ts'),
    'src/images.ts exports two tasks named "resize". Rename one of them.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofStart('resize', 'src/app.ts'),
    'start() was called by src/app.ts, or by what it imports, in a thread of task "resize". Move the task into a file of its own that starts nothing.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofRun('resize'),
    'ctx.run() was called in a thread of task "resize", where no system is. Call it in a task without isolate, which runs this one too.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofImport('resize', 'src/images.ts', new Error('sharp is not there')),
    'task "resize" cannot be loaded in a thread: importing src/images.ts threw sharp is not there. Import it by hand to see where.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofWait('resize', 'src/images.ts', 30_000),
    'task "resize" cannot be loaded in a thread: importing src/images.ts was not over after 30s. Move the task into a file of its own that waits for nothing at its top level.',
  ],
  [
    'IsolateError',
    'isolate',
    IsolateError.ofEnd('resize', 'ran out of memory: 64 MiB are allowed', 'Raise isolate.memory'),
    'the thread of task "resize" ran out of memory: 64 MiB are allowed. Raise isolate.memory.',
  ],
  [
    'UnknownTaskError',
    'unknown-task',
    new UnknownTaskError('resize', ['thumbnail', 'upload']),
    'this system has no task "resize". Put it under a supervisor given to start(); it has: thumbnail, upload.',
  ],
  [
    'UnknownTaskError',
    'unknown-task',
    new UnknownTaskError('resize', []),
    'this system has no task "resize". Put it under a supervisor given to start(); it has none.',
  ],
  [
    'UnknownJobError',
    'unknown-job',
    new UnknownJobError('812'),
    'there is no dead letter "812" of a task in this system. Look at dead.list() for those there are.',
  ],
  [
    'UnknownPathError',
    'unknown-path',
    new UnknownPathError('app/meda', ['app', 'app/media']),
    'there is no supervisor at "app/meda". Did you mean "app/media"?',
  ],
  [
    'UnknownPathError',
    'unknown-path',
    new UnknownPathError(
      'elsewhere',
      Array.from({ length: 22 }, (_, n) => `s${n}`),
    ),
    'there is no supervisor at "elsewhere". There are: s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19 and 2 more.',
  ],
  [
    'UnknownChildError',
    'unknown-child',
    new UnknownChildError('app/media', 'resise', ['resize', 'books']),
    'app/media has no child "resise". Did you mean "resize"?',
  ],
  [
    'UnknownChildError',
    'unknown-child',
    new UnknownChildError('app/media', 'resize', []),
    'app/media has no child "resize". It has none.',
  ],
  [
    'ChildRunningError',
    'child-running',
    new ChildRunningError('app/media', 'resize'),
    `app/media/resize is running. Call stopChild('resize') first.`,
  ],
  [
    'ChildStoppedError',
    'child-stopped',
    new ChildStoppedError('app/media', 'resize'),
    `app/media keeps a stopped child "resize". Use restartChild('resize'), or deleteChild('resize') first.`,
  ],
  [
    'ChildRestartingError',
    'child-restarting',
    new ChildRestartingError('app/media', 'resize', 400),
    `app/media/resize is being restarted, next try in 400ms. Call stopChild('resize') to end that.`,
  ],
  [
    'ChildRestartingError',
    'child-restarting',
    new ChildRestartingError('app/media', `it's`, undefined),
    String.raw`app/media/it's is being restarted. Call stopChild('it\'s') to end that.`,
  ],
  [
    'SupervisorStoppedError',
    'supervisor-stopped',
    new SupervisorStoppedError('app/media', 'startChild'),
    'app/media is stopped, so startChild did nothing. Restart it through its parent, app.',
  ],
  [
    'SupervisorStoppedError',
    'supervisor-stopped',
    new SupervisorStoppedError('app', 'startChild'),
    'app is stopped, so startChild did nothing. It is the root; start the system again.',
  ],
  [
    'SystemStoppedError',
    'system-stopped',
    new SystemStoppedError('app', { job }),
    'system "app" stopped before job app/media/resize/job:812 was over. Await its runs before stop(), or use a durable broker.',
  ],
  [
    'SystemStoppedError',
    'system-stopped',
    new SystemStoppedError('app', { method: 'run' }),
    'system "app" is stopped, so run did nothing. Start it again with start().',
  ],
  [
    'InvalidDecisionError',
    'invalid-decision',
    new InvalidDecisionError('app/media', Promise.resolve(), 'app'),
    'catch of app/media returned a promise. Return resume, restart, stop or escalate at once; the failure climbed to app.',
  ],
  [
    'InvalidDecisionError',
    'invalid-decision',
    new InvalidDecisionError('app', 'restart', ''),
    'catch of app returned "restart" (string). Return resume, restart, stop or escalate at once; the failure climbed to the root catch.',
  ],
  [
    'InvalidDecisionError',
    'invalid-decision',
    new InvalidDecisionError('', undefined),
    'root catch returned undefined. Return resume, restart or stop at once; the system was stopped.',
  ],
  [
    'InvalidDecisionError',
    'invalid-decision',
    new InvalidDecisionError('', escalate),
    'root catch returned escalate. Return resume, restart or stop at once; the system was stopped.',
  ],
  [
    'RestartLimitError',
    'restart-limit',
    new RestartLimitError('app/shop', 3, 5000),
    'app/shop needed a 4th restart within 5s, restarts.limit is 3. Look at the failure it was for; raise the limit if this is expected.',
  ],
  [
    'RestartLimitError',
    'restart-limit',
    RestartLimitError.ofJob('app/media', 3),
    'app/media needed a 4th restart of one job, restarts.limit is 3. Look at the failure it was for; raise the limit if this is expected.',
  ],
  [
    'TimeoutError',
    'timeout',
    new TimeoutError('task "resize"', 30_000, 2, 5),
    'task "resize" was not over after 30s, attempt 2 of 5. Pass ctx.signal to what it awaits, or raise timeout.',
  ],
  [
    'TimeoutError',
    'timeout',
    TimeoutError.ofStart('app/shop/inventory', 30_000),
    'app/shop/inventory was not ready after 30s. Let ready() say true sooner, or raise startTimeout.',
  ],
  [
    'CancelledError',
    'cancelled',
    new CancelledError(job, 'user left'),
    'job app/media/resize/job:812 was cancelled: user left. Use run.settled() where a cancel is expected.',
  ],
  [
    'CancelledError',
    'cancelled',
    new CancelledError(job, undefined),
    'job app/media/resize/job:812 was cancelled. Use run.settled() where a cancel is expected.',
  ],
  [
    'LeaseLostError',
    'lease-lost',
    new LeaseLostError(job, 30_000),
    'job app/media/resize/job:812 lost its lease after 30s without renewal. Keep the event loop free, or raise lease.',
  ],
  [
    'LeaseLostError',
    'lease-lost',
    LeaseLostError.ofLimit(job, 3),
    'job app/media/resize/job:812 was lost 3 times: its process ended, or its lease ran out. See what it does to its process, or raise lostLimit.',
  ],
  [
    'PluginError',
    'plugin',
    new PluginError('timed', 'before', job, new TypeError('x is undefined')),
    'plugin "timed" threw in hook "before" of app/media/resize/job:812: x is undefined. The job went on; fix the plugin.',
  ],
  [
    'PluginError',
    'plugin',
    new PluginError('timed', 'setup', 'app', 'no port', 'Nothing was started'),
    'plugin "timed" threw in hook "setup" of app: no port. Nothing was started; fix the plugin.',
  ],
  [
    'InputError',
    'input',
    new InputError('resize', [{ path: 'url', message: 'expected a URL, got "cat"' }]),
    'task "resize" was given an input that does not fit: url: expected a URL, got "cat". Nothing was queued; correct the input.',
  ],
  [
    'InputError',
    'input',
    new InputError('resize', [
      { path: '', message: 'expected an object' },
      ...Array.from({ length: 6 }, () => ({ path: 'a', message: 'b' })),
    ]),
    'task "resize" was given an input that does not fit: expected an object; a: b; a: b; a: b; a: b and 2 more. Nothing was queued; correct the input.',
  ],
  ['PayloadError', 'payload', new PayloadError(payload), payload],
  ['BrokerError', 'store-newer', new BrokerError('store-newer', newer), newer],
  [
    'MissingPackageError',
    'missing-package',
    new MissingPackageError('rootcatch/bullmq', 'bullmq', ['bullmq', 'ioredis']),
    'rootcatch/bullmq needs the package "bullmq", which is not installed. Run: npm install bullmq ioredis',
  ],
  [
    'StalledError',
    'stalled',
    new StalledError('a call of shop/poller', 40_000),
    'a call of shop/poller was not over after 40s. It is tried again; look at the network if this goes on, or raise stall.',
  ],
  [
    'AnswerError',
    'answer',
    AnswerError.ofCall('getMe', { status: 502, statusText: 'Bad Gateway', text: '<html>' }),
    'getMe was answered 502 Bad Gateway without JSON: "<html>" (string). Look at what stands between here and the Bot API.',
  ],
  [
    'AnswerError',
    'answer',
    AnswerError.ofFile({ status: 404, statusText: '', text: '' }),
    'the file to send was answered 404. Check where its URL leads.',
  ],
  ['PermanentError', 'permanent', new PermanentError('No image at x.'), 'No image at x.'],
  ['FatalError', 'fatal', new FatalError('banned'), 'banned'],
  ['PluginTriggerError', 'plugin-trigger', new PluginTriggerError('no quota left'), 'no quota left'],
]

describe('every class', () => {
  test('stands in the table', () => {
    expect(new Set(['RootcatchError', ...rows.map(([name]) => name)])).toEqual(new Set(classes.keys()))
  })

  test.each(rows)('%s, code %s, says its sentence and who it is: %o', (name, code, error, message) => {
    expect(error.message).toBe(message)
    expect(error).toMatchObject({ name, code })
    expect(error.stack).toMatch(new RegExp(`^${name}: `))
    expect(error.constructor).toBe(classes.get(name))
    expect(JSON.parse(JSON.stringify(error))).toEqual({ name, code, message })
  })

  test.each(rows)('%s is known by brand, also one of a second copy', async (name) => {
    vi.resetModules()
    const copy = new Map(
      Object.entries({ ...(await import('../src/errors.ts')), ...(await import('../src/bot/errors.ts')) }),
    )
    const [ours, theirs] = [classes.get(name) as typeof PermanentError, copy.get(name) as typeof PermanentError]
    const instance = Object.create(theirs.prototype as object) as unknown
    expect(theirs).not.toBe(ours)
    expect([...classes.values()].filter((of) => instance instanceof (of as typeof PermanentError))).toEqual([
      RootcatchError,
      ours,
    ])
  })

  test.each([RootcatchError, PermanentError, PluginTriggerError, TimeoutError].map((of) => [of.name, of] as const))(
    'answers instanceof for anything, without throwing: %s',
    (_name, of) => {
      class Mine extends PermanentError {}
      const strangers = hostileValues.filter(([name]) => !name.includes('says yes'))
      const known = strangers.filter(([, make]) => make() instanceof of || make() instanceof Mine)
      expect(known).toEqual([])
    },
  )
})

describe("a user's subclass", () => {
  class NoImage extends PermanentError {
    readonly url: string
    constructor(url: string) {
      super(`No image at ${url}.`)
      this.url = url
    }
  }

  test('is an instance of itself and of what it extends', () => {
    const error = new NoImage('x')
    expect(error).toBeInstanceOf(NoImage)
    expect(error).toBeInstanceOf(PermanentError)
    expect(error).toBeInstanceOf(RootcatchError)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(FatalError)
    expect(error).toMatchObject({ name: 'PermanentError', code: 'permanent', url: 'x' })
  })

  test('is asked the ordinary way: what it extends is no instance of it', () => {
    class Other extends PermanentError {}
    expect(new PermanentError()).not.toBeInstanceOf(NoImage)
    expect(new Other()).not.toBeInstanceOf(NoImage)
    expect(new (class extends NoImage {})('x')).toBeInstanceOf(NoImage)
  })

  test('may set a name and a code of its own', () => {
    class Named extends FatalError {
      override readonly name = 'Named'
    }
    expect(new Named('x').name).toBe('Named')
    expect(Object.assign(new PermanentError('x'), { code: 'E_X' }).code).toBe('E_X')
  })

  test('narrows by instanceof', () => {
    const error = new NoImage('x') as unknown
    if (error instanceof NoImage) expectTypeOf(error.url).toEqualTypeOf<string>()
    if (error instanceof PermanentError) expectTypeOf(error.code).toEqualTypeOf<'permanent'>()
    expect.assertions(0)
  })
})

describe('cause', () => {
  test.each([
    ['PermanentError', (cause: unknown) => new PermanentError('x', { cause })],
    ['FatalError', (cause: unknown) => new FatalError('x', { cause })],
    ['PluginTriggerError', (cause: unknown) => new PluginTriggerError('x', { cause })],
    ['PluginError', (cause: unknown) => new PluginError('p', 'h', job, cause)],
    ['BrokerError', (cause: unknown) => new BrokerError('away', 'x', { cause })],
    ['MissingPackageError', (cause: unknown) => new MissingPackageError('a', 'b', ['b'], { cause })],
  ])('of a %s is native and unchanged', (_name, make) => {
    const changed = hostileValues.filter(([, value]) => {
      const cause = value()
      return !Object.is(make(cause).cause, cause)
    })
    expect(changed).toEqual([])
    expect(Object.getOwnPropertyDescriptor(make(1), 'cause')?.enumerable).toBe(false)
  })

  test('is absent where none was given', () => {
    expect('cause' in new PermanentError('x')).toBe(false)
  })
})

describe('CancelledError', () => {
  test.each(hostileValues)('keeps its reason and tells it on one line: %s', (_name, make) => {
    const reason = make()
    const error = new CancelledError(job, reason)
    expect(Object.is(error.reason, reason)).toBe(true)
    expect(error.message).toMatch(/^job \S+ was cancelled(: [^\p{Cc}]{1,200})?\. Use run/u)
  })
})

describe('InvalidDecisionError', () => {
  test.each(hostileValues)('tells whatever was returned: %s', (_name, make) => {
    expect(new InvalidDecisionError('app', make(), '').message).toMatch(/^catch of app returned [^\p{Cc}]+$/u)
  })
})

describe('PluginTriggerError', () => {
  test.each<[string, unknown, object, string]>([
    ['nothing', undefined, {}, 'plugin error'],
    ['null', null, {}, 'plugin error'],
    ['a text', 'no quota left', { message: 'no quota left' }, 'no quota left'],
    ['details', { code: 'quota' }, { code: 'quota' }, 'plugin error'],
    ['details with a message', { message: 'no quota', code: 1 }, { message: 'no quota', code: 1 }, 'no quota'],
    ['details with an odd message', { message: 404 }, { message: 404 }, 'plugin error'],
    ['details that cannot be read', unreadableDetails(), { message: '[unreadable]' }, '[unreadable]'],
  ])('of %s has details and message', (_what, given, details, message) => {
    const error = new PluginTriggerError(given as object)
    expect(error.details).toEqual(details)
    expect(Object.isFrozen(error.details)).toBe(true)
    expect(error.message).toBe(message)
  })

  test('copies its details: what the job does to them later changes nothing', () => {
    const given = { code: 'quota', retry: yes }
    const error = new PluginTriggerError(given)
    given.code = 'other'
    expect(error.details).toEqual({ code: 'quota', retry: yes })
    expect(Object.isFrozen(given)).toBe(false)
  })
})

function unreadableDetails(): object {
  return new Proxy({}, { ownKeys: () => expect.fail('was looked at') })
}

describe('isBranded', () => {
  test.each(hostileValues.filter(([name]) => !name.includes('says yes')))('never throws: %s', (_name, make) => {
    expect(isBranded(make(), Symbol.for('rootcatch.error'))).toBe(false)
  })
})
