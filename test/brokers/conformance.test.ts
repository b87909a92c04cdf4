import { memory } from '../../src/brokers/memory.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'
import { describeBroker } from './conformance.ts'

const newFile = newFiles()
let path = ''

describeBroker('memory()', { create: () => memory() })

describeBroker('sqlite()', {
  create: () => sqlite((path = newFile())),
  again: () => sqlite(path),
  child: () => ['sqlite', path],
  kept: () => readRow(path, 'SELECT count(*) AS jobs FROM jobs')['jobs'] as number,
})
