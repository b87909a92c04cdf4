// A worker on Postgres: `node postgres-child.ts <options of postgres() as JSON>`. Says a line for each job it begins and ends.
import { writeSync } from 'node:fs'
import { start, supervisor } from '../../src/index.ts'
import { postgres, type PostgresOptions } from '../../src/brokers/postgres.ts'
import { chaosWork } from './fleet-task.ts'

const say = (line: string): void => void writeSync(1, `${line}\n`)
const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const options = JSON.parse(process.argv[2] ?? '') as PostgresOptions
await start(supervisor('app', [chaosWork(say)]), { broker: postgres(options), log: quiet })
say('ready')
