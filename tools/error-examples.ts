import {
  BrokerError,
  CancelledError,
  ChildRestartingError,
  ChildRunningError,
  ChildStoppedError,
  DuplicateNameError,
  FatalError,
  InputError,
  InvalidDecisionError,
  IsolateError,
  LeaseLostError,
  MissingPackageError,
  PermanentError,
  PluginError,
  PluginTriggerError,
  RestartLimitError,
  SupervisorStoppedError,
  SystemStoppedError,
  TimeoutError,
  UnknownChildError,
  UnknownJobError,
  UnknownPathError,
  UnknownTaskError,
} from '../src/errors.ts'
import { AnswerError, StalledError } from '../src/bot/errors.ts'
import {
  BlockedAddressError,
  BodyTooLargeError,
  ConnectionError,
  ConnectTimeoutError,
  CrawlRunningError,
  FailedElsewhereError,
  DnsError,
  HandlerTimeoutError,
  ProtocolError,
  ProxyError,
  RedirectError,
  ResponseTimeoutError,
  RetryError,
  SelectorError,
  StatusError,
  SpiderDownError,
  TooManyRedirectsError,
  TryLimitError,
  UnknownHandlerError,
  YieldError,
  type TryPoint,
} from '../src/crawl/errors.ts'
import { foreignStore, newerStore } from '../src/brokers/sqlite-schema.ts'
import { copyPayload } from '../src/payload.ts'
import { supervisor } from '../src/supervisor.ts'
import { task } from '../src/task.ts'

/** Errors that belong together, in the order of the page; each class stands in one group. */
export interface ErrorGroup {
  readonly title: string
  readonly intro: string
  readonly errors: readonly Error[]
}

const job = 'app/media/resize/job:812'
const page: TryPoint = { url: 'https://books.example/a' }
const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.3:443'), { code: 'ECONNREFUSED' })

/** One error of each code a class may have, made by what makes it in a program wherever that is short. */
export const errorGroups: readonly ErrorGroup[] = [
  {
    title: 'Definitions, options, payloads',
    intro: 'Thrown by the call that was given something it cannot take. An input rejects its run.',
    errors: [
      caught(() => task('resize', { retires: 5 } as object, String)),
      caught(() => supervisor('shop', { strategy: 'one' as 'one-for-one' }, [])),
      caught(() => task('resize', { timeout: '30 sec' as '30s' }, String)),
      DuplicateNameError.ofSiblings('supervisor "media"', 'resize', 1, 3),
      DuplicateNameError.ofPlaces('task "resize"', 'app/a/resize', 'app/b/resize'),
      new InputError('resize', [{ path: 'url', message: 'expected a URL, got "cat"' }]),
      caught(() => copyPayload('input of task "resize"', { user: { born: new Date(0) } }, 262_144)),
      caught(() => copyPayload('input of task "resize"', 'x'.repeat(412_000), 262_144)),
      new MissingPackageError('rootcatch/sqlite', 'better-sqlite3'),
    ],
  },
  {
    title: 'A running system',
    intro: 'Thrown, or rejected, by a call to a system or to one of its supervisors. The tree goes on as it was.',
    errors: [
      new UnknownTaskError('resize', ['thumbnail', 'upload']),
      new UnknownJobError('812'),
      new UnknownPathError('app/meda', ['app', 'app/media']),
      new UnknownChildError('app/media', 'resise', ['resize']),
      new ChildRunningError('app/media', 'resize'),
      new ChildStoppedError('app/media', 'resize'),
      new ChildRestartingError('app/media', 'resize', 400),
      new SupervisorStoppedError('app/media', 'startChild'),
      new SystemStoppedError('app', { job }),
      new SystemStoppedError('app', { method: 'run' }),
    ],
  },
  {
    title: 'What failed in the tree',
    intro: 'Found in `failure.error`, in `because` of a trail entry, or as the reason of an aborted signal.',
    errors: [
      new TimeoutError('task "resize"', 30_000, 2, 5),
      TimeoutError.ofStart('app/shop/inventory', 30_000),
      new CancelledError(job, 'user left'),
      new LeaseLostError(job, 30_000),
      LeaseLostError.ofLimit(job, 3),
      new PluginError('timed', 'before', job, new TypeError('x is undefined')),
      new InvalidDecisionError('app/media', Promise.resolve(), 'app'),
      new RestartLimitError('app/shop', 3, 5_000),
      RestartLimitError.ofJob('app/media', 3),
      IsolateError.ofExport('resize', 'src/images.ts'),
      IsolateError.ofEnd('resize', 'ran out of memory: 64 MiB are allowed', 'Raise isolate.memory'),
    ],
  },
  {
    title: 'Brokers',
    intro:
      'A store that cannot be used when a system starts ends that start; later, outcomes wait until it can be written again.',
    errors: [
      new BrokerError('store-newer', newerStore('./app.db', 7).message.replace(/knows \d+/, 'knows 5')), // not of today
      foreignStore('./notes.db'),
      new BrokerError(
        'evicting',
        'Redis at 10.0.0.3:6379 has maxmemory-policy allkeys-lru, so it may drop jobs. Set it to noeviction.',
      ),
      new BrokerError(
        'denied',
        'Redis at 10.0.0.3:6379 does not let us in: WRONGPASS invalid username-password pair. Correct username and password of connection, or the rights of that user.',
      ),
      new BrokerError('full', 'Redis at 10.0.0.3:6379 is out of memory, so it takes no jobs. Give it more maxmemory.'),
      new BrokerError(
        'read-only',
        'Redis at 10.0.0.3:6379 is a replica that takes no writes. Give the address of the master, or use Sentinel or Cluster.',
      ),
      new BrokerError('unsupported', 'Redis at 10.0.0.3:6379 is version 5.0.7, at least 6.2 is needed. Update it.'),
      new BrokerError('away', './app.db is not open. Give the broker to start(), or call open() first.'),
    ],
  },
  {
    title: 'Thrown by you',
    intro: 'Three errors that say more than an ordinary one. Their text is yours.',
    errors: [
      new PermanentError('No image at https://example.com/cat.png.'),
      new PluginTriggerError({ code: 'quota', message: 'no quota left' }),
      new FatalError('The shop has signed us out.'),
    ],
  },
  {
    title: 'Bots',
    intro:
      "Beside them stand grammY's own `BotError`, `GrammyError` and `HttpError`, see [bots](./guides/bots.md#errors).",
    errors: [
      new StalledError('a call of shop/poller', 40_000),
      AnswerError.ofCall('getMe', { status: 502, statusText: 'Bad Gateway', text: '<html>' }),
    ],
  },
  {
    title: 'Network errors of a spider',
    intro:
      'All extend `NetworkError`: a try of a request ended without a page, and it is tried again until `networkTryLimit`, then its fallback is called. They have the `url` of the hop, the `status` if one had come, `tryCount`, and `permanent` where no further try is made. The stats of a crawl count by these codes.',
    errors: [
      new ConnectionError('connection-refused', page, refused),
      new ConnectionError('connection-failed', page, new Error('connect ENETUNREACH')),
      new ConnectionError('connection-reset', page, new Error('read ECONNRESET')),
      new ConnectionError('truncated', page, new Error('other side closed')),
      new DnsError(page, new Error('getaddrinfo ENOTFOUND books.example')),
      new ConnectTimeoutError(page, 3_000),
      new ResponseTimeoutError(page, 15_000, 2_048),
      new ProtocolError('tls', page, new Error('self-signed certificate')),
      new ProtocolError('protocol', page, new Error('Expected HTTP/')),
      new ProtocolError('encoding', page, new Error('incorrect header check')),
      new StatusError({ ...page, status: 503 }),
      new TooManyRedirectsError(page, 10),
      new RedirectError(page, 'tel:0123'),
      new ProxyError(page, 'http://10.0.0.9:3128', refused),
      new BodyTooLargeError(page, 'decoded', 52_428_800),
      new BlockedAddressError(page, '127.0.0.1'),
    ],
  },
  {
    title: 'Other errors of a spider',
    intro: 'What is wrong with a page, a handler or a call; none of them costs a network try.',
    errors: [
      SelectorError.ofMissing(page.url, '.price', 'price'),
      new RetryError(page.url, 1, 10),
      new TryLimitError(page.url, 'networkTryLimit', 11, 10),
      new YieldError('list', 'https://books.example/b'),
      new UnknownHandlerError('books', 'bok', ['list', 'book']),
      new CrawlRunningError('app/books', 120),
      new FailedElsewhereError('app/books', 'the shop has closed'),
      new HandlerTimeoutError('book', page.url, 60_000),
      new SpiderDownError('app/books'),
    ],
  },
]

function caught(call: () => unknown): Error {
  try {
    call()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error(`${String(call)} threw no error, so the page has no example of it. Correct the call.`)
}
