import { count, find, h, matcher, setClass, setText, svg } from './dom.js'
import { condition, isJob } from './store.js'

const ROW = 30

const icons = {
  supervisor: 'M8 2v4M8 6 3.5 9.5M8 6l4.500 3.500M3.500 9.500V13M12.500 9.500V13',
  task: 'M3 4.500h10M3 8h10M3 11.500h6',
  actor: 'M8 2l5.200 3v6L8 14l-5.200-3V5z',
  job: 'M8 4.500a3.500 3.500 0 1 0 .01 0z',
  bot: 'M4 5h8v7H4zM8 5V2.500M6.500 8v1M9.500 8v1',
  spider: 'M8 8m-2.200 0a2.200 2.200 0 1 0 4.400 0a2.200 2.200 0 1 0-4.400 0M2 5l4 2M2 11l4-2M14 5l-4 2M14 11l-4-2',
  remote: 'M8 2a6 6 0 1 0 .01 0zM2 8h12M8 2c3 3 3 9 0 12M8 2c-3 3-3 9 0 12',
}

/** The tree, of which only what is on the screen is drawn. */
export class TreeView {
  #store
  #select
  #opened
  #rows = []
  #pool = []
  #shape = -1
  #filter = ''
  #isOnlyFailing = false
  #collapsed = new Set()
  #expanded = new Set()
  #focused
  #told = ''
  #root = find('tree')
  #spacer = h('div', { class: 'tree-spacer' })
  #search
  #more
  /** How far children were asked for of nodes that have more than was told. */
  #paging = new Map()

  /** `opened` is told which rows are on the screen, and below which nodes jobs are wanted. */
  constructor(store, { select, opened, search, more }) {
    this.#store = store
    this.#select = select
    this.#opened = opened
    this.#search = search
    this.#more = more
    this.#root.append(this.#spacer)
    this.#root.addEventListener('scroll', () => this.render(), { passive: true })
    this.#root.addEventListener('keydown', (event) => this.#key(event))
    let wait
    find('search').addEventListener('input', () => {
      this.#filter = find('search').value
      clearTimeout(wait)
      wait = setTimeout(() => this.#askForMore(), 200)
      this.#shape = -1
      this.render()
    })
    find('failing').addEventListener('click', () => this.toggleFailing())
  }

  toggleFailing() {
    this.#isOnlyFailing = !this.#isOnlyFailing
    find('failing').setAttribute('aria-pressed', String(this.#isOnlyFailing))
    this.#shape = -1
    this.render()
  }

  forget() {
    this.#paging = new Map()
    this.#told = ''
    this.#shape = -1
  }

  /** Shows a node that is somewhere below what is folded. */
  reveal(id) {
    for (
      let node = this.#store.node(this.#store.node(id)?.parent);
      node !== undefined;
      node = this.#store.node(node.parent)
    ) {
      this.#collapsed.delete(node.id)
      if (hasJobs(node)) this.#expanded.add(node.id)
    }
    this.#shape = -1
    this.render()
    const at = this.#rows.findIndex((row) => row.id === id)
    if (at < 0) return
    const { scrollTop, clientHeight } = this.#root
    if (at * ROW < scrollTop || (at + 1) * ROW > scrollTop + clientHeight)
      this.#root.scrollTop = at * ROW - clientHeight / 3
  }

  render() {
    const store = this.#store
    if (this.#shape !== store.shape || this.#isOnlyFailing) this.#arrange()
    this.#shape = store.shape
    const { clientHeight } = this.#root
    const most = Math.max(0, this.#rows.length * ROW - clientHeight)
    const top = Math.min(this.#root.scrollTop, most)
    const first = Math.max(0, Math.floor(top / ROW) - 4)
    const last = Math.min(this.#rows.length, Math.ceil((top + clientHeight) / ROW) + 4)
    setStyle(this.#spacer, 'height', `${this.#rows.length * ROW}px`)
    while (this.#pool.length < last - first) this.#pool.push(this.#makeRow())
    const ids = []
    for (const [index, element] of this.#pool.entries()) {
      const at = first + index
      const row = at < last ? this.#rows[at] : undefined
      if (row === undefined) {
        element.line.hidden = true
        continue
      }
      if (row.rest === undefined) ids.push(row.id)
      this.#drawRow(element, row, at)
    }
    this.#root.setAttribute('aria-activedescendant', this.#focused === undefined ? '' : `row-${this.#focused}`)
    this.#tell(ids)
  }

  #tell(rows) {
    const parents = [...this.#expanded].filter((id) => this.#store.nodes.has(id))
    const text = `${rows.join()}|${parents.join()}`
    if (text === this.#told) return
    this.#told = text
    this.#opened({ rows, parents })
  }

  #askForMore() {
    const text = this.#filter.trim()
    if (text.length > 1 && !text.startsWith('/')) this.#search(text)
  }

  #arrange() {
    const store = this.#store
    const rows = []
    const isFound = matcher(this.#filter)
    const isFiltered = this.#filter.trim() !== '' || this.#isOnlyFailing
    const keep = isFiltered ? new Set() : undefined
    if (keep !== undefined) {
      for (const node of store.nodes.values()) {
        if (!isFound(node.path) || (this.#isOnlyFailing && (node.isEnded || !store.isFailing(node)))) continue
        for (let at = node; at !== undefined && !keep.has(at.id); at = store.node(at.parent)) keep.add(at.id)
      }
    }
    const add = (id, level) => {
      const node = store.node(id)
      if (node === undefined || (keep !== undefined && !keep.has(id))) return
      const children = store.childrenOf(id)
      const isOpen = isFiltered || (hasJobs(node) ? this.#expanded.has(id) : !this.#collapsed.has(id))
      rows.push({ id, level, isOpen, canOpen: children.length > 0 || hasJobs(node) })
      if (!isOpen) return
      const jobs = children.filter((child) => isJob(store.node(child) ?? {}))
      for (const child of children) if (!isJob(store.node(child) ?? {})) add(child, level + 1)
      const listed = children.length - jobs.length
      if (!isFiltered && node.below > listed)
        rows.push({ id: `rest-${id}`, of: id, level: level + 1, rest: node.below - listed, offset: listed })
      for (const child of jobs.slice(-100).toReversed()) add(child, level + 1)
    }
    for (const id of store.childrenOf(undefined)) add(id, 1)
    const before = this.#rows.findIndex(({ id, rest }) => id === this.#focused && rest !== undefined)
    this.#rows = rows
    if (this.#focused !== undefined && rows.some(({ id }) => id === this.#focused)) return
    // In the place of what stood for the rest there is now the first of it.
    this.#focused = rows[before]?.id ?? store.selected ?? rows[0]?.id
  }

  #makeRow() {
    const shape = svg('path', {})
    const parts = {
      fold: h('span', { class: 'fold', 'aria-hidden': 'true' }),
      icon: svg('svg', { class: 'kind', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, shape),
      shape,
      name: h('span', { class: 'name' }),
      more: h('span', { class: 'more' }),
      state: h('span', { class: 'state' }),
      line: undefined,
    }
    parts.line = h(
      'div',
      { class: 'row', role: 'treeitem' },
      parts.fold,
      parts.icon,
      parts.name,
      parts.more,
      parts.state,
    )
    parts.line.addEventListener('click', (event) => {
      const { id } = parts.line.dataset
      this.#focused = id
      if (event.target === parts.fold) this.#toggle(id)
      else this.#select(id)
    })
    parts.line.addEventListener('dblclick', () => this.#toggle(parts.line.dataset.id))
    this.#spacer.append(parts.line)
    return parts
  }

  #drawRow(parts, row, at) {
    const { id, level, isOpen, canOpen } = row
    if (row.rest !== undefined) return this.#drawRest(parts, row, at)
    const node = this.#store.node(id)
    if (node === undefined) return
    const { line } = parts
    const { word, tone } = condition(node)
    line.hidden = false
    line.id = `row-${id}`
    line.dataset.id = id
    setStyle(line, 'transform', `translateY(${at * ROW}px)`)
    setStyle(line, '--level', String(level - 1))
    const isSelected = id === this.#store.selected
    const isFailing = !node.isEnded && this.#store.isFailing(node)
    setClass(
      line,
      `row ${isSelected ? 'selected' : ''} ${id === this.#focused ? 'focused' : ''} ${node.isEnded || tone === 'off' ? 'quiet' : ''}`,
    )
    line.setAttribute('aria-level', String(level))
    line.setAttribute('aria-selected', String(isSelected))
    line.setAttribute('aria-label', `${node.name}, ${node.kind}, ${word}${isFailing ? ', failing' : ''}`)
    if (canOpen) line.setAttribute('aria-expanded', String(isOpen))
    else line.removeAttribute('aria-expanded')
    setText(parts.fold, canOpen ? (isOpen ? '▾' : '▸') : '')
    const icon = icons[isJob(node) ? 'job' : node.kind] ?? icons.actor
    if (parts.shape.getAttribute('d') !== icon) parts.shape.setAttribute('d', icon)
    setText(parts.name, node.name)
    if (parts.name.title !== node.path) parts.name.title = node.path
    setText(parts.state, word)
    setClass(parts.state, `state ${tone}`)
    setText(parts.more, moreOf(node, isFailing, tone === 'off' || tone === 'done' ? 0 : this.#store.rateOf(node)))
    setClass(parts.more, isFailing ? 'more failing' : 'more')
  }

  /** What has not been told yet is asked for once it comes on the screen. */
  #drawRest(parts, { id, of, level, rest, offset }, at) {
    const { line } = parts
    line.hidden = false
    line.id = `row-${id}`
    line.dataset.id = id
    setStyle(line, 'transform', `translateY(${at * ROW}px)`)
    setStyle(line, '--level', String(level - 1))
    setClass(line, `row quiet ${id === this.#focused ? 'focused' : ''}`)
    line.setAttribute('aria-level', String(level))
    line.setAttribute('aria-selected', 'false')
    line.setAttribute('aria-label', `${count(rest)} more`)
    line.removeAttribute('aria-expanded')
    for (const part of [parts.fold, parts.more, parts.state]) setText(part, '')
    setClass(parts.state, 'state none')
    parts.shape.setAttribute('d', '')
    setText(parts.name, `… ${count(rest)} more`)
    parts.name.title = ''
    this.#page(of, rest + offset, offset)
  }

  /** The next of its children. One that was told out of turn makes a later one missed: they are gone through twice. */
  #page(id, total, from) {
    const known = this.#paging.get(id)
    const paging = known?.total === total ? known : { total, next: from, passes: 0, isAsked: false }
    this.#paging.set(id, paging)
    if (paging.isAsked || paging.passes > 1) return
    paging.isAsked = true
    this.#more(id, paging.next).then(
      ({ rows, total: all }) => {
        paging.isAsked = false
        paging.next += rows.length
        if (rows.length > 0 && paging.next < all) return
        paging.next = 0
        paging.passes += 1
      },
      () => {}, // the next hello begins anew
    )
  }

  #toggle(id) {
    const node = this.#store.node(id)
    if (node === undefined) return
    const set = hasJobs(node) ? this.#expanded : this.#collapsed
    if (!set.delete(id)) set.add(id)
    this.#shape = -1
    this.render()
  }

  #key(event) {
    const at = this.#rows.findIndex(({ id }) => id === this.#focused)
    const row = this.#rows[at]
    const go = (to) => {
      const target = this.#rows[Math.max(0, Math.min(this.#rows.length - 1, to))]
      if (target === undefined) return
      this.#focused = target.id
      const y = this.#rows.indexOf(target) * ROW
      const { scrollTop, clientHeight } = this.#root
      if (y < scrollTop) this.#root.scrollTop = y
      else if (y + ROW > scrollTop + clientHeight) this.#root.scrollTop = y + ROW - clientHeight
      this.render()
    }
    const moves = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(this.#rows.length - 1),
      ArrowRight: () => (row?.canOpen && !row.isOpen ? this.#toggle(row.id) : go(at + 1)),
      ArrowLeft: () => {
        if (row?.canOpen && row.isOpen) return this.#toggle(row.id)
        const parent = this.#store.node(row?.id)?.parent
        return go(this.#rows.findIndex(({ id }) => id === parent))
      },
      Enter: () => row && this.#select(row.id),
    }
    const move = moves[event.key]
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    move()
  }
}

const hasJobs = ({ kind }) => kind === 'task' || kind === 'bot' || kind === 'spider'

function moreOf(node, isFailing, rate) {
  const parts = []
  if (isFailing && node.failures > 0) parts.push(`${count(node.failures)} failed`)
  if (node.restarts > 0) parts.push(`↻ ${count(node.restarts)}`)
  if (node.waiting > 0) parts.push(`${count(node.waiting)} waiting`)
  if (node.jobs?.running > 0) parts.push(`${count(node.jobs.running)} running`)
  if (node.attempt > 1) parts.push(`attempt ${node.attempt}`)
  if (node.dropped > 0) parts.push(`${count(node.dropped)} dropped`)
  if (rate >= 1) parts.push(`${count(Math.round(rate))}/s`)
  return parts.slice(0, 3).join(' · ')
}

function setStyle(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value)
}
