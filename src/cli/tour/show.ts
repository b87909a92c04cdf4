import type { System } from 'rootcatch'
import { paint, print } from '../output.ts'
import { tellHappenings, type Happening } from './happenings.ts'
import { clock, drawMoment } from './picture.ts'
import { Screen } from './screen.ts'
import type { Act } from './script.ts'
import { Tallies } from './tally.ts'

/** How the tour is watched. */
export interface Show {
  begin(act: Act): void
  end(): void
}

const DRAWN_EVERY = 150
const KEPT = 100

/** A picture of the tree that moves. */
export function showInTerminal(system: System, seconds: number): Show {
  const screen = new Screen(process.stdout)
  const tallies = new Tallies(system)
  const happenings: Happening[] = []
  tellHappenings(system, (happening) => {
    happenings.push(happening)
    if (happenings.length > KEPT) happenings.shift()
  })
  const begun = performance.now()
  let act: Act | undefined
  const draw = (): void => {
    const passed = (performance.now() - begun) / 1_000
    const left = seconds - passed
    screen.draw(drawMoment({ seconds: passed, left, act, tree: system.tree(), tallies, happenings, rows: screen.rows }))
  }
  const timer = setInterval(draw, DRAWN_EVERY)
  return {
    begin: (next) => {
      act = next
      draw()
    },
    end: () => {
      clearInterval(timer)
      act = undefined
      draw()
      screen.end()
    },
  }
}

/** A line for each thing that happens, for files and pipes. */
export function showLines(system: System): Show {
  const begun = performance.now()
  tellHappenings(system, ({ who, what, text, trail }) => {
    const decided = trail === undefined ? '' : `  (${trail})`
    const at = clock((performance.now() - begun) / 1_000)
    print(`${at}  ${what.padEnd(10)} ${who.padEnd(26)} ${text}${decided}`.trimEnd())
  })
  return {
    begin: ({ title, about }) => print(`\n${paint('bold', title)}\n   ${paint('dim', about)}`),
    end: () => {},
  }
}
