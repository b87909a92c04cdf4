import { InvalidOptionError } from '../errors.ts'
import { checkKeys, readBoolean, readFunction, readOneOf, readWholeNumber } from '../options.ts'

/** Has the last word on what is shown: gets the place of a value, the value, and the path of the node it belongs to. */
export type Redact = (path: string, value: unknown, node: string) => unknown

export interface InspectorOptions {
  /** Taken: any free one, and the printed line says so. 0: any free one. @default 7717 */
  readonly port?: number
  /** Any but loopback needs `allowedHosts`; a tunnel is better. @default '127.0.0.1' */
  readonly host?: string
  /** What people type to reach it, beside 127.0.0.1 and localhost: `'build.example'`, without a port. @default [] */
  readonly allowedHosts?: readonly string[]
  /** Lets the page replay and discard dead letters, stop and start children. @default false */
  readonly control?: boolean
  /** `'none'`: no context, input, output or event data leaves the process; `'full'`: unredacted. @default 'redacted' */
  readonly payloads?: 'redacted' | 'none' | 'full'
  /** Has the last word on each value; one that throws shows nothing. */
  readonly redact?: Redact
  /** Which nodes are shown at all. @default all */
  readonly only?: (path: string) => boolean
  /** The viewer that the bridge page frames; `false`: no bridge. @default 'https://stately.ai/inspect' */
  readonly stately?: string | false
  /** Takes the official protocol from other processes; with `origins`, from browsers too. @default false */
  readonly accept?: boolean | { readonly token?: string; readonly origins?: readonly string[] }
  /** Who gets the link: stderr, nobody, or a function. */
  readonly announce?: false | ((link: string) => void)
}

/** The same, with every default in its place. */
export interface InspectorPolicy {
  readonly port: number
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly control: boolean
  readonly payloads: 'redacted' | 'none' | 'full'
  readonly redact: Redact | undefined
  readonly only: ((path: string) => boolean) | undefined
  readonly stately: URL | undefined
  readonly accept: { readonly token: string | undefined; readonly origins: readonly string[] } | undefined
  readonly announce: false | ((link: string) => void) | undefined
}

const SUBJECT = 'inspector()'
const KEYS = [
  'port',
  'host',
  'allowedHosts',
  'control',
  'payloads',
  'redact',
  'only',
  'stately',
  'accept',
  'announce',
] as const satisfies readonly (keyof InspectorOptions)[]

export function readOptions(options: InspectorOptions): InspectorPolicy {
  checkKeys(SUBJECT, options, KEYS)
  const allowedHosts = readTexts('allowedHosts', options.allowedHosts, `Write them as a list: ['build.example'].`)
  const { announce } = options
  if (announce !== false) readFunction(SUBJECT, 'announce', announce)
  return {
    port: readWholeNumber(SUBJECT, 'port', options.port, { min: 0, max: 65_535 }) ?? 7717,
    host: readHost(options.host, allowedHosts),
    allowedHosts: allowedHosts.map((host) => host.toLowerCase()),
    control: readBoolean(SUBJECT, 'control', options.control) ?? false,
    payloads: readOneOf(SUBJECT, 'payloads', options.payloads, ['redacted', 'none', 'full']) ?? 'redacted',
    redact: readFunction(SUBJECT, 'redact', options.redact),
    only: readFunction(SUBJECT, 'only', options.only),
    stately: readStately(options.stately),
    accept: readAccept(options.accept),
    announce,
  }
}

const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

function readHost(host: unknown, allowedHosts: readonly string[]): string {
  if (host === undefined) return '127.0.0.1'
  if (typeof host !== 'string' || host === '') {
    throw new InvalidOptionError(SUBJECT, 'host', host, `Write an address, like '127.0.0.1'.`)
  }
  if (LOOPBACK.includes(host) || allowedHosts.length > 0) return host
  const advice = `Others could reach it there: give allowedHosts what they will type, or keep '127.0.0.1' and use a tunnel.`
  throw new InvalidOptionError(SUBJECT, 'host', host, advice)
}

function readStately(value: unknown): URL | undefined {
  if (value === false) return undefined
  const url = value ?? 'https://stately.ai/inspect'
  if (typeof url === 'string' && URL.canParse(url)) {
    const parsed = new URL(url)
    if (parsed.protocol === 'https:' || parsed.protocol === 'http:') return parsed
  }
  throw new InvalidOptionError(
    SUBJECT,
    'stately',
    value,
    `Write the URL of a viewer, like 'https://stately.ai/inspect', or false.`,
  )
}

function readAccept(value: unknown): InspectorPolicy['accept'] {
  if (value === undefined || value === false) return undefined
  if (value === true) return { token: undefined, origins: [] }
  if (typeof value !== 'object' || value === null) {
    throw new InvalidOptionError(SUBJECT, 'accept', value, 'Use true, false or { token, origins }.')
  }
  checkKeys(`accept of ${SUBJECT}`, value, ['token', 'origins'])
  const { token, origins } = value as { token?: unknown; origins?: unknown }
  if (token !== undefined && (typeof token !== 'string' || !/^[\w-]{16,200}$/.test(token))) {
    throw new InvalidOptionError(SUBJECT, 'accept.token', typeof token, `Use 16 or more letters, digits, '_' and '-'.`)
  }
  return { token, origins: readTexts('accept.origins', origins, `Write them as a list: ['http://localhost:5173'].`) }
}

function readTexts(key: string, value: unknown, advice: string): readonly string[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')) return value
  throw new InvalidOptionError(SUBJECT, key, value, advice)
}
