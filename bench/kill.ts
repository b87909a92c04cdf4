/** Jobs of a sqlite file whose process is killed with SIGKILL again and again: how many were lost, and how many ran twice. */
import { randomInt } from 'node:crypto'
import { workThroughKills } from './kill/story.ts'

const isSmoke = process.argv.includes('--smoke')
const [jobs, kills] = isSmoke ? [2_000, 5] : [200_000, 250]
const seed = Number(process.env['ROOTCATCH_SEED'] ?? randomInt(2 ** 31))

const report = await workThroughKills({ jobs, kills, seed })
const { confirmed, lost, twice, unexplained, end, seconds } = report
const held = report.kills.map((look) => look.held.size)
const damaged = [...report.kills, end].filter(({ integrity }) => integrity !== 'ok')
console.log(`${confirmed} jobs confirmed, ${end.done.size} done, ${kills} kills, ${seconds.toFixed(1)} s, seed ${seed}`)
console.log(`held at a kill: ${held.reduce((a, b) => a + b, 0)} in all, at most ${Math.max(...held)}`)
console.log(`ran twice: ${twice}, of them not held at the kill before: ${unexplained.length}`)
console.log(`lost: ${lost.length}; damaged files: ${damaged.length}`)
if (lost.length + unexplained.length + damaged.length > 0) process.exitCode = 1
