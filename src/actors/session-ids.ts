/** So many ids are made of one that XState has booked. */
const PER_BOOKING = 1_000

const FRACTIONS = Array.from({ length: PER_BOOKING }, (_, index) => `.${String(index).padStart(3, '0')}`)

/**
 * Books the ids of sessions a thousand at a time, for to write a large number as a text costs as much as a fifth of an actor.
 * They still count up, with three decimals, and stay different from all others in the process. Not part of XState's
 * documented surface (5.33), so where it is not found as expected, nothing is changed.
 */
export function bookSessionsAhead(system: object): void {
  const booking = system as { _bookId?: unknown }
  const { _bookId: book } = booking as { _bookId?: () => unknown }
  if (typeof book !== 'function' || book.length !== 0) return
  let [booked, used] = ['', PER_BOOKING]
  booking._bookId = () => {
    if (used === PER_BOOKING) {
      booked = String(book())
      used = 0
    }
    const id = booked + FRACTIONS[used]
    used += 1
    return id
  }
}
