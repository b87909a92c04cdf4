// Makes docs/pictures/tour.svg from the tour as a terminal shows it: `npm run -s build && npx node tools/tour-picture.ts`.
// Needs `script` of util-linux, which gives the tour a terminal.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const COLUMNS = 104
const ROWS = 34
const LINE = 17
const LETTER = 8.4

const root = fileURLToPath(new URL('../', import.meta.url))
const command = `stty cols ${COLUMNS} rows ${ROWS}; exec '${process.execPath}' dist/src/cli/rootcatch.js tour --seconds 17`
const env = { ...process.env, TERM: 'xterm-256color', FORCE_COLOR: '1', NO_COLOR: undefined }
const ESCAPE = '\u001B['
const { stdout } = spawnSync('script', ['-qefc', command, '/dev/null'], { cwd: root, env, encoding: 'utf8' })

/** Each frame ends by clearing what may be left of a longer one. */
const frames = stdout.split(`${ESCAPE}0J`)
const frame = frames.findLast((text) => text.includes('A spider tries again')) ?? ''
const lines = frame.split('\n').map((line) => line.replaceAll('\r', '').replace(`${ESCAPE}0m${ESCAPE}K`, ''))

const width = Math.ceil(COLUMNS * LETTER) + 32
const height = lines.length * LINE + 24
writeFileSync(
  `${root}docs/pictures/tour.svg`,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">
<title>The tour of rootcatch in a terminal</title>
<rect width="100%" height="100%" rx="8" fill="#16181d"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#d8dee9" xml:space="preserve">
${lines.map((line, at) => `<text x="16" y="${26 + at * LINE}">${spansOf(line)}</text>`).join('\n')}
</g>
</svg>
`,
)

/** Runs of one style; where each begins is fixed, so that columns stand under each other in any font. */
function spansOf(line: string): string {
  let column = 0
  let style = ''
  const spans: string[] = []
  for (const part of line.split(ESCAPE)) {
    const [, code, text = ''] = /^(?:(\d+)[mA])?(.*)$/.exec(part) ?? []
    if (code !== undefined) style = styleOf(Number(code), style)
    if (text.trim() !== '') spans.push(`<tspan x="${16 + column * LETTER}"${style}>${escape(text)}</tspan>`)
    column += text.length
  }
  return spans.join('')
}

function styleOf(code: number, before: string): string {
  const colours: Readonly<Record<number, string>> = {
    31: '#f2777a',
    32: '#99cc99',
    33: '#ffcc66',
    35: '#cc99cc',
    36: '#66cccc',
  }
  if (code === 1) return ' font-weight="bold"'
  if (code === 2) return ' fill="#8a919e"'
  return colours[code] === undefined
    ? code === 0 || code === 39 || code === 22
      ? ''
      : before
    : ` fill="${colours[code]}"`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll(' ', '\u00A0') // plain ones are folded
}
