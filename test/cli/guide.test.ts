import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../support/child.ts'
import { rootcatch } from '../support/command.ts'

const commands = [['run'], ['stats'], ['dead', 'list'], ['dead', 'show'], ['dead', 'replay'], ['dead', 'discard']]

const optionsIn = (text: string): string[] => [...new Set(text.match(/(?<![\w-])--[a-z][a-z-]*/g))].toSorted()

test(
  'the guide of the command line tells every option of every command, and no other',
  { timeout: 60_000 },
  async () => {
    const helps = await Promise.all([[], ...commands].map((command) => rootcatch([...command, '--help'])))
    const known = optionsIn(helps.map(({ stdout }) => stdout).join('\n')).filter((option) => option !== '--version')
    const guide = readFileSync(join(root, 'docs/guides/command-line.md'), 'utf8')
    expect(optionsIn(guide)).toEqual(known)
  },
)
