import type { NetworkError } from './errors.ts'
import type { GiveUp } from './give-up.ts'
import type { Response } from './response.ts'

/** How one try is made. */
export interface TryOptions {
  readonly giveUp?: GiveUp | undefined
  /** The number of the try, for errors. @default request.networkTryCount + 1 */
  readonly tryCount?: number | undefined
  /** The proxy of the try before, so that another one is drawn. */
  readonly lastProxy?: string | undefined
  /** Asked before a redirect is followed; false ends the try as `refused`. */
  readonly allows?: ((url: string) => boolean | Promise<boolean>) | undefined
}

/** A try that may be given up by a signal. */
export interface FetchOptions extends TryOptions {
  readonly signal?: AbortSignal | undefined
}

/** What a try came to. Only an `error` costs one of the request's tries. */
export type Outcome =
  | { readonly kind: 'page'; readonly response: Response }
  /** The host asks for patience: for `retryAfter` ms, or it did not say for how long. */
  | { readonly kind: 'throttled'; readonly response: Response; readonly retryAfter: number | undefined }
  /** A status that is not good has its response along, for who wants to see it raw. */
  | {
      readonly kind: 'error'
      readonly error: NetworkError
      readonly response?: Response
      readonly proxy: string | undefined
    }
  /** A redirect led to what may not be fetched. */
  | { readonly kind: 'refused'; readonly url: string }

/** A try that is under way. What it came to is taken: a promise that was made before a page came would hold on to it. */
export interface Fetching {
  /** Resolves when the try is over. Rejects only with the reason it was given up for. */
  readonly over: Promise<void>
  /** Once it is over, and once. */
  take(): Outcome
}
