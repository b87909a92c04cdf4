import type { System } from 'rootcatch'
import { paint } from '../output.ts'
import type { Decided } from './tally.ts'

/** What the whole tour came to. Each job that was accepted has one outcome. */
export function summaryOf(system: System, { resume, restart, stop, escalate }: Decided): string {
  const { jobs, actors } = system.stats()
  const { added, done, fellBack, failed, cancelled, retried } = jobs
  const open = added - done - fellBack - failed - cancelled
  const rest = open === 0 ? '' : ` + ${open} cut off`
  return [
    '',
    paint('bold', 'Summary'),
    `   jobs       ${added} accepted = ${done} done + ${fellBack} fallback + ${failed} failed + ${cancelled} cancelled${rest}`,
    `   attempts   ${retried} more after the first`,
    `   decisions  ${resume} resume, ${restart} restart, ${stop} stop, ${escalate} escalate`,
    `   actors     ${actors.started} started, all of them stopped`,
  ].join('\n')
}
