import { find, h } from './dom.js'

const PATIENCE = 8_000

/** Which viewer may be framed is what the policy of this very page says. */
async function viewerUrl() {
  const response = await fetch('/stately/viewer')
  return new URL(await response.text())
}

const url = await viewerUrl()
find('origin').textContent = url.origin

let target
let socket
let wait

function say(text, ...more) {
  const place = find('said')
  place.hidden = text === ''
  place.replaceChildren(text, ...more)
}

/** The viewer is there, for the first time or again: it gets the whole picture, then what happens. */
function begin() {
  clearTimeout(wait)
  say('')
  socket?.close()
  const under = find('under').value.trim()
  const own = new WebSocket(`ws://${location.host}/stately/live?under=${encodeURIComponent(under)}`)
  socket = own
  own.addEventListener('message', ({ data }) => {
    if (own === socket) target?.postMessage(JSON.parse(data), url.origin)
  })
  own.addEventListener('close', () => {
    if (own !== socket) return
    target?.postMessage({ type: '@statelyai.disconnected' }, url.origin)
    say('The system has stopped, or the connection was lost.')
  })
}

addEventListener('message', (event) => {
  if (event.source !== target || event.origin !== url.origin) return
  if (event.data?.type === '@statelyai.connected') begin()
})

function waitForViewer() {
  clearTimeout(wait)
  wait = setTimeout(() => {
    const popup = () => {
      target = window.open(url.href, 'xstateinspector')
      waitForViewer()
    }
    say(
      `${url.origin} has not answered within ${PATIENCE / 1_000} s. `,
      h('button', { onclick: popup }, 'Open it in a window'),
    )
  }, PATIENCE)
}

find('connect').addEventListener('click', () => {
  find('consent').hidden = true
  const frame = h('iframe', {
    sandbox: 'allow-scripts allow-same-origin allow-popups',
    title: 'Stately',
    referrerpolicy: 'no-referrer',
  })
  document.body.append(frame)
  target = frame.contentWindow
  frame.src = url.href
  waitForViewer()
})
