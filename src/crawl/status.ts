/** What a final status means for its request. */
export type StatusMeaning = 'good' | 'throttled' | 'bad'

/**
 * 2xx and 404 are good, unless who knows better says otherwise by `decided`. Of the rest, 429 is a host that asks for
 * patience, and so is a 503 that says for how long; everything else is a network error.
 */
export function meaningOf(status: number, hasRetryAfter: boolean, decided?: boolean): StatusMeaning {
  if (decided ?? ((status >= 200 && status < 300) || status === 404)) return 'good'
  return status === 429 || (status === 503 && hasRetryAfter) ? 'throttled' : 'bad'
}
