import { ChartView, showSelected } from './chart-view.js'
import { ContextView } from './context-view.js'
import { DeadView } from './dead-view.js'
import { count, duration, find, h, setClass, setText } from './dom.js'
import { EventsView } from './events-view.js'
import { FailuresView } from './failures-view.js'
import { JobView } from './job-view.js'
import { confirmIn, listenToKeys, showKeys } from './keys.js'
import { Link } from './link.js'
import { PlotsView } from './plots-view.js'
import { readRecording, Recorder, Replay } from './recording.js'
import { SequenceView } from './sequence-view.js'
import { condition, Store } from './store.js'
import { TreeView } from './tree-view.js'

const store = new Store()
const recorder = new Recorder(() => store.picture())
let replay
let state = 'connecting'
let isPaused = false
let heardAt = Date.now()

const link = new Link({ frame: take, state: setState })

const ask = (what, more) =>
  replay === undefined ? link.ask(what, more) : Promise.reject(new Error('A recording does not hold this.'))

const links = {
  select: (id, path) => select(store.nodes.has(id) ? id : store.atPath(path)?.id),
  job: (path) => {
    jobView.show(path)
    openTab(2)
  },
  dead: (id) => {
    openTab(3)
    deadView.open(id)
  },
}

const tree = new TreeView(store, {
  select,
  opened: (frame) => replay === undefined && link.send({ type: 'open', ...frame }),
  search: (text) =>
    ask('search', { text }).then(
      ({ rows }) => addRows(rows),
      () => {},
    ),
  more: (id, offset) =>
    ask('children', { id, offset }).then((answer) => {
      setTimeout(() => addRows(answer.rows)) // once the tree knows how far it is
      return answer
    }),
})
const chart = new ChartView()
const context = new ContextView()
const eventsView = new EventsView(store, select)
const failuresView = new FailuresView(store, links)
const jobView = new JobView(store, ask, links)
const deadView = new DeadView(store, ask, links, act)
const sequenceView = new SequenceView(store)
const plotsView = new PlotsView(store)

/** @type {[string, { element: HTMLElement, render(): void, forget?(): void }][]} */
const views = [
  ['Events', eventsView],
  ['Failures', failuresView],
  ['Job', jobView],
  ['Dead letters', deadView],
  ['Sequence', sequenceView],
  ['Plots', plotsView],
]
let tab = 0
const tabs = views.map(([name, view], index) => {
  const badge = h('span', { class: 'badge', hidden: true })
  const button = h(
    'button',
    {
      role: 'tab',
      id: `tab-${index}`,
      'aria-controls': `view-${index}`,
      title: String(index + 1),
      'aria-label': name,
      onclick: () => openTab(index),
    },
    name,
    badge,
  )
  Object.assign(view.element, { id: `view-${index}` })
  view.element.setAttribute('role', 'tabpanel')
  view.element.setAttribute('aria-labelledby', `tab-${index}`)
  find('tabs').append(button)
  find('views').append(view.element)
  return { button, badge }
})
find('tabs').addEventListener('keydown', ({ key }) => {
  if (key !== 'ArrowRight' && key !== 'ArrowLeft') return
  openTab((tab + (key === 'ArrowRight' ? 1 : views.length - 1)) % views.length)
  tabs[tab].button.focus()
})

function openTab(index) {
  tab = index
  for (const [at, { button }] of tabs.entries()) {
    const isOpen = at === index
    button.setAttribute('aria-selected', String(isOpen))
    button.tabIndex = isOpen ? 0 : -1
    views[at][1].element.hidden = !isOpen
  }
  schedule()
}

// What comes in

function take(frame, text) {
  if (replay !== undefined) return
  heardAt = Date.now()
  if (frame.type === 'hello') begin()
  store.apply(frame)
  recorder.add(frame, text)
  if (frame.type === 'hello') {
    tree.forget()
    if (store.selected !== undefined) link.send({ type: 'watch', id: store.selected })
    if (store.selected === undefined) select(firstWorthLooking(), false)
  }
  if (frame.failures?.length > 0 && frame.type === 'tick') tellFailures(frame.failures)
  schedule()
}

/** Rows that were asked for: a recording holds them as if they had been told. */
function addRows(rows) {
  const frame = { type: 'tick', at: store.at, nodes: rows }
  store.apply(frame)
  recorder.add(frame, JSON.stringify(frame))
  schedule()
}

function begin() {
  for (const [, view] of views) view.forget?.()
}

/** At first something that moves: the first actor with a chart, or the root. */
function firstWorthLooking() {
  for (const node of store.nodes.values()) if (node.kind === 'actor' && node.chart !== undefined) return node.id
  return store.childrenOf(undefined)[0]
}

function tellFailures(failures) {
  const last = failures.at(-1)
  const more = failures.length > 1 ? `, and ${failures.length - 1} more` : ''
  setText(find('live'), `${last.path} failed${more}`)
}

function setState(next) {
  state = next
  schedule()
}

function select(id, isByHand = true) {
  if (id === undefined || !store.nodes.has(id)) return
  store.selected = id
  if (replay === undefined) link.send({ type: 'watch', id })
  if (isByHand) {
    tree.reveal(id)
    document.body.classList.remove('drawer-open')
    find('drawer').setAttribute('aria-expanded', 'false')
  }
  schedule()
}

async function act(order, question) {
  if (!(await confirmIn(question))) return false
  const response = await fetch('/do', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-rootcatch': String(store.system.control) },
    body: JSON.stringify(order),
  })
  const { error } = await response.json().catch(() => ({ error: response.statusText }))
  setText(find('live'), error === undefined ? `Done: ${order.action}` : error)
  if (error !== undefined) void confirmIn(error)
  return error === undefined
}

// What is shown

let isDue = false

function schedule() {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    render()
  })
}

function render() {
  renderBar()
  tree.render()
  if (store.nodes.size > 0 && performance.getEntriesByName('first-tree').length === 0) performance.mark('first-tree')
  const node = store.node(store.selected)
  if (node !== undefined) {
    const { word, tone } = condition(node)
    const facts = [
      node.kind,
      node.generation > 1 ? `incarnation ${node.generation}` : '',
      `${count(node.events)} events`,
    ]
    node.shown = { word, tone, meta: facts.filter((text) => text !== '').join(' · ') }
  }
  showSelected(find('selected'), node, buttonsOf)
  void chart.show(node, node?.chart === undefined ? undefined : store.charts.get(node.chart))
  const { detail, before } = store.looked
  chart.update(node, detail)
  context.show(node, detail, before)
  views[tab][1].render()
  const badges = [undefined, store.failures.length, undefined, undefined, undefined, undefined]
  for (const [index, { badge }] of tabs.entries()) {
    const text = badges[index] === undefined || badges[index] === 0 ? '' : count(badges[index])
    badge.hidden = text === ''
    setText(badge, text)
  }
}

function buttonsOf(node) {
  if (!store.system?.control || replay !== undefined || node.phase === undefined || node.parent === undefined) return []
  const button = (action, text, name) =>
    h('button', { onclick: () => void act({ action, path: node.path }, `${text} ${node.path}?`) }, name)
  if (node.phase === 'stopped') return [button('startChild', 'Start', 'Start')]
  return [button('stopChild', 'Stop', 'Stop'), button('restartChild', 'Restart', 'Restart')]
}

function renderBar() {
  const { system } = store
  const shown = replay !== undefined ? 'recording' : state === 'live' && isPaused ? 'paused' : state
  const isOver = shown === 'away' || shown === 'stopped' || shown === 'locked'
  const age = isOver ? ` · ${duration(Date.now() - heardAt)} ago` : ''
  setText(
    find('pill'),
    `${{ away: 'connection lost', stopped: 'system stopped', locked: 'another process: use the link it printed' }[shown] ?? shown}${age}`,
  )
  setClass(find('pill'), `pill ${shown}`)
  document.body.classList.toggle('faded', isOver)
  if (system === undefined) return
  setText(find('root'), system.root)
  find('stately').hidden = !system.stately || replay !== undefined
  const failing = store.failingNodes
  const last = store.samples.at(-1)
  let nodes = store.childrenOf(undefined).length
  for (const node of store.nodes.values()) nodes += node.below ?? 0
  const facts = [
    ['up', duration(store.at - system.startedAt)],
    ['nodes', count(nodes)],
    ['events/s', count(last?.events ?? 0)],
    ['failing', String(failing)],
    ...(store.dropped.events > 0 ? [['not shown', `${count(store.dropped.events)} events`]] : []),
  ]
  const place = find('facts')
  if (place.childElementCount !== facts.length)
    place.replaceChildren(...facts.map(() => h('div', {}, h('dt'), h('dd'))))
  for (const [index, [name, value]] of facts.entries()) {
    const [dt, dd] = place.children[index].children
    setText(dt, name)
    setText(dd, value)
    setClass(place.children[index], name === 'failing' && failing > 0 ? 'bad' : '')
  }
  const title = `${failing > 0 ? `${failing} failing · ` : ''}${system.root} · rootcatch`
  if (document.title !== title) document.title = title
  const missed = isPaused ? eventsView.missed : 0
  setText(find('pause'), isPaused ? `Go on${missed > 0 ? ` (${count(missed)})` : ''}` : 'Pause')
}

// Buttons and keys

function pause() {
  isPaused = !isPaused
  eventsView.paused = isPaused
  find('pause').setAttribute('aria-pressed', String(isPaused))
  schedule()
}

find('pause').addEventListener('click', pause)
find('export').addEventListener('click', () => recorder.save())
find('stately').addEventListener('click', () => window.open('/stately', '_blank', 'noopener'))
find('help').addEventListener('click', showKeys)
find('drawer').addEventListener('click', () => {
  const isOpen = document.body.classList.toggle('drawer-open')
  find('drawer').setAttribute('aria-expanded', String(isOpen))
  tree.render()
})
const remembered = localStorage.getItem('theme')
if (remembered !== null) document.documentElement.dataset.theme = remembered
find('theme').addEventListener('click', () => {
  const root = document.documentElement
  const isDark =
    root.dataset.theme === undefined
      ? matchMedia('(prefers-color-scheme: dark)').matches
      : root.dataset.theme === 'dark'
  root.dataset.theme = isDark ? 'light' : 'dark'
  localStorage.setItem('theme', root.dataset.theme)
  schedule()
})
listenToKeys({
  '/': () => find('search').focus(),
  f: () => tree.toggleFailing(),
  p: pause,
  0: () => chart.fit(),
  '+': () => chart.zoom(1.25),
  '-': () => chart.zoom(0.8),
  '?': showKeys,
  ArrowDown: () => find('tree').focus(),
  ArrowUp: () => find('tree').focus(),
  view: openTab,
  back: () => {
    if (find('dialog').open) return
    document.body.classList.remove('drawer-open')
    const search = find('search')
    if (search.value !== '') {
      search.value = ''
      search.dispatchEvent(new Event('input'))
    }
    find('tree').focus()
  },
})

// Recordings

document.addEventListener('dragover', (event) => event.preventDefault())
document.addEventListener('drop', (event) => {
  event.preventDefault()
  const [file] = event.dataTransfer.files
  if (file !== undefined) void file.text().then(openRecording)
})

function openRecording(text) {
  try {
    const frames = readRecording(text)
    replay = new Replay(frames, showFrames, leaveRecording)
  } catch (error) {
    void confirmIn(error.message)
  }
}

function showFrames(frames) {
  replay ??= {}
  begin()
  const path = store.node(store.selected)?.path
  store.clear()
  for (const frame of frames) store.apply(frame)
  store.selected = store.atPath(path)?.id ?? firstWorthLooking()
  find('selected').dataset.id = '' // a recording has other buttons
  tree.forget()
  schedule()
}

function leaveRecording() {
  location.reload()
}

openTab(0)
link.open()
setInterval(schedule, 1_000)
