import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as machines from 'rootcatch/machines'
import { describe, expect, test } from 'vitest'
import type { AnyStateNode } from 'xstate'
import { charts, findOutdatedFiles } from '../../tools/chart-files.ts'
import { layOut, type Area, type Arrow } from '../../tools/chart-layout.ts'
import { root } from '../support/child.ts'
import { importsOf } from '../support/imports.ts'

describe('the pictures of the charts', () => {
  test('show the charts as they are; run `npm run charts` if they do not', async () => {
    expect(await findOutdatedFiles()).toEqual([])
  })

  test.each(charts)('of the $name has no label over a state, another label or a foreign arrow', async (chart) => {
    const { boxes, arrows } = await layOut(chart)
    const covered = arrows.flatMap(({ from, to, label }) => {
      const others = arrows.filter((arrow) => arrow.label !== label)
      const areas = [...boxes, ...others.map((arrow) => arrow.label), ...others.flatMap(segmentsOf)]
      return areas.filter((area) => overlaps(label, area)).map((area) => ({ from, to, area }))
    })
    expect(arrows.length).toBeGreaterThan(0)
    expect(covered).toEqual([])
  })

  test.each(charts)('of the $name has no arrow through a state', async (chart) => {
    const { boxes, arrows } = await layOut(chart)
    const crossed = arrows.flatMap((arrow) =>
      boxes.filter((box) => segmentsOf(arrow).some((segment) => overlaps(segment, box))),
    )
    expect(crossed).toEqual([])
  })

  test.each(charts)('of the $name has everything on its card', async (chart) => {
    const { width, height, boxes, arrows } = await layOut(chart)
    const areas: Area[] = [...boxes, ...arrows.map(({ label }) => label), ...arrows.flatMap(segmentsOf)]
    const outside = areas.filter(
      (area) => area.x < 8 || area.y < 8 || area.x + area.width > width - 8 || area.y + area.height > height - 8,
    )
    expect(outside).toEqual([])
  })
})

describe.each(Object.values(machines))('the chart $id', (machine) => {
  const states: AnyStateNode[] = Object.values(machine.root.states)
  const named = (wanted: (state: AnyStateNode) => boolean): string[] => states.filter(wanted).map(({ key }) => key)

  test('describes itself, each of its states and each of its transitions', () => {
    expect(machine.root.description).toBeTruthy()
    expect(named(({ description }) => !description)).toEqual([])
    const transitions = [machine.root, ...states].flatMap((state) => [...state.transitions.values()].flat())
    expect(transitions.length).toBeGreaterThan(0)
    expect(transitions.filter(({ description }) => !description).map(({ eventType }) => eventType)).toEqual([])
  })

  test('has no state that is left by `always`, so that each can be observed', () => {
    expect(machine.root.always).toBeUndefined()
    expect(named(({ always }) => always !== undefined)).toEqual([])
  })

  test('gives each final state an output of its own', () => {
    const final = states.filter(({ type }) => type === 'final')
    expect(final.length).toBeGreaterThan(0)
    expect(final.filter(({ output }) => output === undefined).map(({ key }) => key)).toEqual([])
    expect(new Set(final.map(({ output }) => output)).size).toBe(final.length)
  })
})

test('the charts import nothing but xstate', () => {
  const files = readdirSync(join(root, 'machines')).filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  const imports = files.flatMap((file) => importsOf(file, readFileSync(join(root, 'machines', file), 'utf8')))
  expect(imports.length).toBeGreaterThan(0)
  expect(imports.filter(({ to }) => to !== 'xstate')).toEqual([])
})

function segmentsOf({ points }: Arrow): Area[] {
  return points.slice(1).map((end, index) => {
    const start = points[index] ?? end
    const [x, y] = [Math.min(start.x, end.x), Math.min(start.y, end.y)]
    return { x, y, width: Math.abs(start.x - end.x), height: Math.abs(start.y - end.y) }
  })
}

/** Touching is not overlapping: an arrow ends on the border of a box. */
function overlaps(a: Area, b: Area): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}
