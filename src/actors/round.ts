/** Children that restart together: stopped in reverse, then a wait, then started in order. */
export class Round<Member> {
  stage: 'stopping' | 'waiting' | 'starting' = 'stopping'
  /** In start order, dynamic ones last. */
  readonly members: readonly Member[]
  readonly delay: number
  /** Where in `members` it stands: from the end while stopping, from the start while starting. */
  at: number
  /** Dynamic members that are on their way down. */
  pending = 0
  cancelWait: (() => void) | undefined

  constructor(members: readonly Member[], delay: number) {
    this.members = members
    this.delay = delay
    this.at = members.length
  }
}
