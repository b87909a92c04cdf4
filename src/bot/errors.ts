import { identify } from '../brand.ts'
import { formatDuration } from '../duration.ts'
import { RootcatchError } from '../errors.ts'
import { evidenceOf } from '../evidence.ts'

/**
 * A call that a bot depends on was not over in time; it was aborted, and is made again after a wait.
 *
 * - Why: The connection hangs: a proxy, a firewall or the network lets nothing through and says nothing.
 * - Fix: None at first, as it is tried again. If it goes on, look at the network, or raise `stall` of `polling`.
 */
export class StalledError extends RootcatchError<'stalled'> {
  static {
    identify(this, 'StalledError', 'stalled')
  }

  constructor(subject: string, ms: number) {
    const advice = 'It is tried again; look at the network if this goes on, or raise stall.'
    super(`${subject} was not over after ${formatDuration(ms)}. ${advice}`)
  }
}

/**
 * What a server answered is no answer to what it was asked. In a bot it is the `error` of an `HttpError`.
 *
 * - Why: A proxy, a gateway or a wrong `apiRoot` answered in its place, with a page instead of JSON.
 * - Fix: Look at `status` and `text`, then at what is between here and that server.
 */
export class AnswerError extends RootcatchError<'answer'> {
  readonly status: number
  readonly statusText: string
  /** The first characters of the answer, where it was looked at. */
  readonly text: string
  static {
    identify(this, 'AnswerError', 'answer')
  }

  /** It is no JSON, so nobody knows whether the call did anything. */
  static ofCall(method: string, answer: Answer): AnswerError {
    const evidence = answer.text === '' ? 'nothing' : evidenceOf(answer.text, 200)
    const advice = 'Look at what stands between here and the Bot API.'
    return new AnswerError(`${method} was answered ${lineOf(answer)} without JSON: ${evidence}. ${advice}`, answer)
  }

  /** The file is not there, or not for us; nothing was sent on. */
  static ofFile(answer: Answer): AnswerError {
    return new AnswerError(`the file to send was answered ${lineOf(answer)}. Check where its URL leads.`, answer)
  }

  constructor(message: string, { status, statusText, text }: Answer) {
    super(message)
    this.status = status
    this.statusText = statusText
    this.text = text
  }
}

/** What of an answer is told. */
interface Answer {
  readonly status: number
  readonly statusText: string
  readonly text: string
}

const lineOf = ({ status, statusText }: Answer): string => `${status} ${statusText}`.trim()
