import { find, h, time } from './dom.js'

const MOST = 20 * 1024 * 1024

/** Keeps what was shown, so that it can be saved. */
export class Recorder {
  #picture
  #hello
  #frames = []
  #size = 0

  /** `picture` gives all that is known now as a `hello`. */
  constructor(picture) {
    this.#picture = picture
  }

  /** Call it once the frame is taken. */
  add(frame, text) {
    if (frame.type === 'hello') return this.#begin(text)
    if (frame.type !== 'tick' && frame.type !== 'chart' && frame.type !== 'detail') return undefined
    this.#frames.push(text)
    this.#size += text.length
    if (this.#size > MOST) this.#begin(JSON.stringify(this.#picture()))
    return undefined
  }

  save() {
    if (this.#hello === undefined) return
    const hello = JSON.parse(this.#hello)
    hello.system.control = false
    const text = `${[JSON.stringify(hello), ...this.#frames].join('\n')}\n`
    const url = URL.createObjectURL(new Blob([text], { type: 'application/jsonl' }))
    const name = `rootcatch-${hello.system.root}-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.jsonl`
    h('a', { href: url, download: name }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }

  #begin(text) {
    this.#hello = text
    this.#frames = []
    this.#size = 0
  }
}

/** Frames of a file; throws a sentence for the reader where it is none of ours. */
export function readRecording(text) {
  const frames = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      try {
        return JSON.parse(line)
      } catch {
        throw new Error('This is no recording: a line of it is not JSON.')
      }
    })
  if (frames[0]?.type !== 'hello' || frames[0].version !== 1)
    throw new Error('This is no recording of rootcatch: it does not begin with a hello.')
  frames[0].system.control = false
  return frames
}

/** Shows a recording under a banner, with a slider through its time. */
export class Replay {
  #frames
  #show

  constructor(frames, show, leave) {
    this.#frames = frames
    this.#show = show
    const last = frames.length - 1
    const slider = h('input', { type: 'range', min: 0, max: last, value: last, 'aria-label': 'Time' })
    const label = h('span', {})
    const at = () => {
      const frame = frames[Number(slider.value)]
      label.textContent = time(frame.at ?? frames[0].at)
      this.seek(Number(slider.value))
    }
    slider.addEventListener('input', at)
    const banner = find('banner')
    banner.replaceChildren(
      h('b', {}, 'A recording, read only.'),
      slider,
      label,
      h('button', { onclick: leave }, 'Back to live'),
    )
    banner.hidden = false
    at()
  }

  seek(index) {
    this.#show(this.#frames.slice(0, index + 1))
  }
}
