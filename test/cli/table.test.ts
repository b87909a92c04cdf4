import { describe, expect, test } from 'vitest'
import { statsText } from '../../src/cli/stats.ts'
import { table } from '../../src/cli/table.ts'

const columns = [
  { title: 'ID', align: 'right' },
  { title: 'TASK', bends: true },
  { title: 'MESSAGE', bends: true },
] as const

describe('table', () => {
  test('aligns what stands in a column', () => {
    expect(
      table(columns, [
        ['1', 'resize', 'no'],
        ['20', 'mail', 'not yet'],
      ]),
    ).toEqual(['ID  TASK    MESSAGE', ' 1  resize  no', '20  mail    not yet'])
  })

  test.each([24, 30, 50, 80])('has no line longer than %i, and cuts the widest first', (width) => {
    const lines = table(columns, [['1', 'app/media/resize', 'a message that is far too long '.repeat(5)]], width)
    expect(lines.filter((line) => line.length > width)).toEqual([])
    expect(lines[1]).toMatch(/^ 1 {2}app\//)
    expect(lines[1]).toMatch(/…$/)
  })

  test('cuts nothing where there is no width', () => {
    const long = 'x'.repeat(300)
    expect(table(columns, [['1', 'a', long]])[1]).toContain(long)
  })
})

describe('the table of stats', () => {
  const queue = { waiting: 1_000_000, delayed: 20, leased: 16, dead: 3, oldest: 3_600_000 }

  test('fits into 80 columns, whatever a task is called, and sums up', () => {
    const lines = statsText(
      [
        { queue: `app/${'deep/'.repeat(30)}resize`, ...queue },
        { queue: 'a', ...queue, oldest: undefined },
      ],
      80,
    )
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.at(-1)).toMatch(/^all +2000000 +40 +32 +6 +1h$/)
  })
})
