/** Children that restart together: stopped in reverse, then a wait, then started in order. */
export class Round<Member> {
  stage: 'stopping' | 'waiting' | 'starting' = 'stopping'
  /** In start order, dynamic ones last. */
  readonly members: readonly Member[]
  readonly delay: number
  /** Members it still has: one that is down for good, or was taken over by another round, has left. */
  size: number
  /** Where in `members` it stands: from the end while stopping, from the start while starting. */
  at: number
  /** The member whose end or start it waits for before the next one's. */
  awaited: Member | undefined
  /** Dynamic members on their way down; made for the first one. */
  pending: Set<Member> | undefined
  /** When its wait will be over. */
  dueAt: number | undefined
  wait: { cancel(): void } | undefined
  isLive = true
  /** Its neighbours among those that are under way. */
  before: Round<Member> | undefined
  after: Round<Member> | undefined

  constructor(members: readonly Member[], delay: number) {
    this.members = members
    this.delay = delay
    this.size = members.length
    this.at = members.length
  }
}
