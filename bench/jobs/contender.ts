// One contender in a process of its own: `contender.ts <name> <way>` prints what was measured as JSON.
import { bareStock } from './bare-stock.ts'
import { measure, type Contender, type Way } from './drive.ts'
import { ours } from './ours.ts'
import { stock } from './stock.ts'
import { double, doubleLater, fail, valueOf } from './work.ts'

const [name = '', given = ''] = process.argv.slice(2)
const way = given as Way
const { begin, close } = await make()
const measured = await measure(begin, valueOf[way])
await close()
console.log(JSON.stringify(measured))

async function make(): Promise<Contender> {
  if (name === 'rootcatch' || name === 'listening') return ours(way, name === 'listening')
  if (name === 'xstate') return stock(way)
  if (name === 'xstate bare') return bareStock(way)
  const { peers } = (await import(new URL('../peers/jobs.js', import.meta.url).href)) as {
    readonly peers: Readonly<Record<string, (work: object) => Contender>>
  }
  return (peers[name] as (work: object) => Contender)(workOf())
}

function workOf(): object {
  const attempts = way === 'retry' ? 2 : 1
  const instead = way === 'fallback' ? (n: number): number => n * 3 : undefined
  const body = (n: number, attempt: number): Promise<number> =>
    way === 'ok' ? double({ n }) : way === 'retry' ? doubleLater({ n }, attempt) : fail()
  return { body, attempts, instead, call: callOf(body, attempts, instead) }
}

/** Attempts and fallback for those who have none: written by hand, as one would. */
function callOf(
  body: (n: number, attempt: number) => Promise<number>,
  attempts: number,
  instead: ((n: number) => number) | undefined,
): (n: number) => Promise<number> {
  if (attempts === 1 && instead === undefined) return (n) => body(n, 1)
  return async (n) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await body(n, attempt)
      } catch (error) {
        if (attempt < attempts) continue
        if (instead === undefined) throw error
        return instead(n)
      }
    }
  }
}
