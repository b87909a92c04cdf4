/** What is asked of a store besides: records, dead letters, schedules, notes, counts, and the look at what became due. */
export const STORE = `
function F.cancel()
  local eid, hint, reason, message = F.arg(), F.arg(), F.arg(), F.arg()
  local q = F.find(eid, hint)
  if not q then return { 'unknown' } end
  local state = F.stateOf(q, eid)
  if state == 'completed' or state == 'failed' then return { 'finished' } end
  if state == 'running' then
    rcall('HSET', q.p .. eid, '~un', reason)
    local lock = rcall('GET', q.p .. eid .. ':lock')
    if lock then F.tell(string.match(lock, '^[^:]*'), 'c' .. message) end
    return { 'leased' }
  end
  if not F.takeOut(q, eid) then return { 'unknown' } end
  rcall('LPUSH', q.active, eid)
  F.giveUp(q, eid, reason, {}, false)
  return { 'cancelled', F.awake() }
end

function F.record()
  local eid, hint = F.arg(), F.arg()
  local q = F.find(eid, hint)
  if not q then return false end
  return { q.name, F.stateOf(q, eid), rcall('HGETALL', q.p .. eid), eid }
end

function F.deadMember(q, eid) return q.name .. '\\n' .. eid end

-- Of those before a death, at most so many are looked at: how far it came, and those that fit.
function F.deadLetters()
  local before, limit, task, kind, since = F.arg(), F.num(), F.arg(), F.arg(), tonumber(F.arg())
  local found = {}
  local scanned = rcall('ZREVRANGEBYSCORE', S .. 'dead', before, '-inf', 'WITHSCORES', 'LIMIT', 0, 1000)
  for index = 1, #scanned, 2 do
    local split = string.find(scanned[index], '\\n', 1, true)
    local q, eid, death = F.Q(string.sub(scanned[index], 1, split - 1)), string.sub(scanned[index], split + 1),
      scanned[index + 1]
    local job = rcall('HMGET', q.p .. eid, '~ki', 'finishedOn', '~dn')
    if not rcall('ZSCORE', q.failed, eid) or job[3] ~= death then
      rcall('ZREM', S .. 'dead', scanned[index]) -- somebody took it out by the engine's own means
    elseif (task == '' or task == q.name) and (kind == '' or kind == job[1])
      and (not since or math.floor(tonumber(job[2])) >= since) then
      found[#found + 1] = { q.name, 'failed', rcall('HGETALL', q.p .. eid), eid }
      if #found == limit then return { '', found } end
    end
  end
  return { #scanned == 2000 and '(' .. scanned[2000] or '', found }
end

function F.findDead(eid, hint)
  local q = F.find(eid, hint)
  return q and rcall('ZSCORE', q.failed, eid) and q
end

function F.letter()
  local eid, hint = F.arg(), F.arg()
  local q = F.findDead(eid, hint)
  return q and { q.name, 'failed', rcall('HGETALL', q.p .. eid), eid }
end

function F.replay()
  local eid, hint, hasInput, data, isNothing, restarts = F.arg(), F.arg(), F.arg() == '1', F.arg(), F.arg() == '1', F.arg()
  local q = F.findDead(eid, hint)
  if not q then return false end
  local key = q.p .. eid
  E.reprocessJob({ key, q.events, q.failed, q.wait, q.meta, q.active, q.marker, q.prioritized, q.pc },
    { eid, 'LPUSH', 'failedReason', 'failed', '1', '1' })
  rcall('ZREM', S .. 'dead', F.deadMember(q, eid))
  rcall('HDEL', key, '~st', '~fl', '~ki', '~dn', '~rs', 'stc', 'defa', 'stacktrace')
  rcall('HSET', key, '~at', 0, '~ch', 0, '~po', 0, '~due', NOW)
  rcall('HSETNX', key, '~ge', 1)
  rcall('HINCRBY', key, '~ge', 1)
  if restarts ~= '' then rcall('HSET', key, '~rs', restarts) end
  if hasInput then
    rcall('HSET', key, 'data', data)
    if isNothing then rcall('HSET', key, '~ni', '1') else rcall('HDEL', key, '~ni') end
  end
  local job = rcall('HMGET', key, '~ln', '~dk', '~df', 'priority', '~id')
  if job[2] and not F.holderOf(q, job[2]) then
    if job[3] then
      F.holdFor(q, job[2], job[3] == 'inf' and 'inf' or tonumber(job[3]), job[5] or string.sub(eid, 3))
    else
      rcall('SET', q.p .. 'de:' .. job[2], eid)
    end
  end
  if job[1] then
    rcall('ZREM', q.prioritized, eid)
    F.promote(q)
    F.arrive(q, eid, job[1], NOW, tonumber(job[4]))
  end
  F.follow(q, eid)
  F.wake(q, 1)
  return { q.name, F.awake() }
end

function F.removeDead(q, eid)
  rcall('ZREM', q.failed, eid)
  rcall('ZREM', S .. 'dead', F.deadMember(q, eid))
  rcall('DEL', q.p .. eid, q.p .. eid .. ':logs')
  F.event(q, 'removed', 'jobId', eid, 'prev', 'failed')
end

function F.discard()
  local eid, hint = F.arg(), F.arg()
  local q = F.findDead(eid, hint)
  if not q then return '' end
  F.removeDead(q, eid)
  return '1'
end

function F.bury()
  local job, text, fields = F.readJob(), F.arg(), {}
  for index = 1, F.num() do fields[index] = F.arg() end
  local q, eid = job.q, job.eid
  if rcall('ZSCORE', q.failed, eid) then F.removeDead(q, eid) end
  if rcall('EXISTS', q.p .. eid) == 1 then return '' end
  F.add(job)
  F.takeOut(q, eid)
  rcall('LPUSH', q.active, eid)
  F.addToHistory(q.p .. eid, table.remove(fields), fields)
  F.finish(q, eid, '0', 'failed', 'failedReason', text, fields, nil)
  return '1'
end

function F.clear()
  local q, isMore = F.Q(F.arg()), false
  local function drop(list, eids)
    for _, eid in ipairs(eids) do
      if list == q.active then rcall('LREM', list, -1, eid)
      elseif list == q.wait then rcall('LREM', list, 1, eid)
      else rcall('ZREM', list, eid) end
      local lane = rcall('HMGET', q.p .. eid, '~ln', '~dk')
      if lane[1] then rcall('DEL', F.laneKey(q, lane[1])) end
      if lane[2] then rcall('DEL', q.p .. 'de:' .. lane[2]) end
      rcall('DEL', q.p .. eid, q.p .. eid .. ':lock', q.p .. eid .. ':logs')
    end
    if #eids == 500 then isMore = true end
  end
  for _, set in ipairs({ q.prioritized, q.delayed, q.children }) do drop(set, rcall('ZRANGE', set, 0, 499)) end
  for _, list in ipairs({ q.active, q.wait }) do drop(list, rcall('LRANGE', list, 0, 499)) end
  if isMore then return '1' end
  rcall('DEL', q.lanes, q.inLanes, q.leases, q.seen, q.notes, q.words, q.stalled)
  rcall('INCR', q.epoch) -- keys held for a time are of the epoch before, and are gone
  return ''
end

function F.keepSchedule()
  local q, spec, next = F.Q(F.arg()), F.arg(), F.arg()
  F.know(q)
  local known = rcall('HMGET', q.schedule, 'spec', 'next')
  if known[1] == spec then return known[2] end
  rcall('HSET', q.schedule, 'spec', spec, 'next', next)
  return next
end

function F.unschedule()
  local q = F.Q(F.arg())
  local isThere = rcall('HEXISTS', q.schedule, 'spec')
  rcall('HDEL', q.schedule, 'spec', 'next') -- the latest job stays known: what it made is not made again
  return tostring(isThere)
end

function F.isUnfinished(q, eid)
  local state = eid and F.stateOf(q, eid)
  return state and state ~= 'completed' and state ~= 'failed'
end

function F.tick()
  local q, spec, due, next, overlap, hasJob = F.Q(F.arg()), F.arg(), F.arg(), F.arg(), F.arg() == '1', F.arg() == '1'
  local known = rcall('HMGET', q.schedule, 'spec', 'next', 'last')
  if known[1] ~= spec then return { 'stale', '' } end
  if known[2] ~= due then return { 'stale', known[2] } end
  rcall('HSET', q.schedule, 'next', next)
  if not hasJob then return { 'skipped', '' } end
  local job = F.readJob()
  if rcall('EXISTS', q.p .. job.eid) == 1 then return { 'stale', next } end
  if not overlap and F.isUnfinished(q, known[3]) then return { 'skipped', F.idOf(q, known[3]) } end
  local id, isDuplicate = F.add(job)
  if isDuplicate == '1' then return { 'skipped', id } end
  rcall('HSET', q.schedule, 'last', job.eid)
  F.wakeAdded()
  return { 'added', '', F.awake() }
end

-- The oldest of each priority is the first of its stretch; nothing else is read.
function F.oldestOf(q, latest)
  local oldest
  local function see(due) if due and (not oldest or due < oldest) then oldest = due end end
  local from = '-inf'
  while true do
    local first = rcall('ZRANGEBYSCORE', q.prioritized, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then break end
    local job = rcall('HMGET', q.p .. first[1], '~due', 'timestamp')
    see(tonumber(job[1] or job[2] or NOW))
    from = string.format('%.0f', (math.floor(tonumber(first[2]) / 4294967296) + 1) * 4294967296)
  end
  see(tonumber(rcall('ZRANGE', q.children, 0, 0, 'WITHSCORES')[2]))
  local delayed = rcall('ZRANGEBYSCORE', q.delayed, 0, latest, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if delayed then see(math.floor(tonumber(delayed) / 4096)) end
  return oldest
end

function F.stats()
  local answers, latest = {}, (NOW + 1) * 4096 - 1
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    local q = F.Q(name)
    local due = rcall('ZCOUNT', q.delayed, 0, latest)
    local oldest = F.oldestOf(q, latest)
    answers[#answers + 1] = { name,
      rcall('ZCARD', q.prioritized) + rcall('ZCARD', q.children) + rcall('LLEN', q.wait) + due,
      rcall('ZCARD', q.delayed) - due, rcall('ZCARD', q.leases), rcall('ZCARD', q.failed),
      oldest and string.format('%.0f', oldest) or '', rcall('HEXISTS', q.meta, 'paused') }
  end
  return answers
end

-- What became due and what was lost, of queues that somebody here waits for.
function F.look()
  local answers = {}
  for index = 1, F.num() do
    local q = F.Q(F.arg())
    F.expire(q)
    F.promote(q)
    local isDue = rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait) +
      rcall('ZCOUNT', q.delayed, 0, (NOW + 1) * 4096 - 1) > 0
    answers[index] = { q.name, isDue and '1' or '', F.nextOf(q.delayed, 4096), F.nextOf(q.leases, 1) }
  end
  return answers
end

-- Somebody waits for jobs; whether there are some already.
function F.join()
  local q = F.Q(F.arg())
  rcall('SADD', q.idle, SELF)
  return rcall('ZCARD', q.prioritized) + rcall('ZCARD', q.delayed) + rcall('LLEN', q.wait) > 0 and '1' or ''
end

-- This process was told and takes nothing: somebody else may.
function F.pass()
  local q = F.Q(F.arg())
  rcall('SREM', q.idle, SELF)
  if rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait) > 0 or F.nextOf(q.delayed, 4096) ~= '' then F.wake(q, 1) end
  return '1'
end

function F.leave()
  for _ = 1, F.num() do rcall('SREM', F.Q(F.arg()).idle, SELF) end
  return '1'
end

-- What this process was given although it never heard so: the answer was lost on its way.
function F.reconcile()
  local q, held = F.Q(F.arg()), {}
  for _ = 1, F.num() do held[F.arg()] = true end
  for _, eid in ipairs(rcall('ZRANGE', q.leases, 0, -1)) do
    local lock = rcall('GET', q.p .. eid .. ':lock')
    if lock and not held[lock] and string.match(lock, '^[^:]*') == SELF then F.putBack(q, eid) end
  end
  return '1'
end

-- Processes of which somebody knows for sure that they have ended: what they held was lost.
function F.bereave()
  local gone = {}
  for _ = 1, F.num() do
    local process = F.arg()
    gone[process] = true
    rcall('HDEL', S .. 'processes', process)
  end
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    local q = F.Q(name)
    local leases = rcall('ZRANGE', q.leases, 0, -1, 'WITHSCORES')
    for index = 1, #leases, 2 do
      local lock = rcall('GET', q.p .. leases[index] .. ':lock')
      if lock and gone[string.match(lock, '^[^:]*')] then F.lose(q, leases[index], tonumber(leases[index + 1])) end
    end
    for process in pairs(gone) do rcall('SREM', q.idle, process) end
  end
  return '1'
end

-- Everywhere at once, for whoever takes asks the queue; those who wait are told when it goes on.
function F.pause()
  local q, isPaused = F.Q(F.arg()), F.arg() == '1'
  F.know(q)
  E.pause({ isPaused and q.wait or q.paused, isPaused and q.paused or q.wait, q.meta, q.prioritized, q.events, q.delayed,
    q.marker }, { isPaused and 'paused' or 'resumed', '1' })
  if not isPaused then F.wake(q, 16) end
  return F.awake()
end

-- What it is afterwards is said, and whether that is what it was to be.
function F.swap()
  local q, name, hadOne, from, hasOne, to = F.Q(F.arg()), F.arg(), F.arg() == '1', F.arg(), F.arg() == '1', F.arg()
  local now = rcall('HGET', q.words, name)
  if now ~= (hadOne and from) and now ~= (hasOne and to) then return { '', now } end
  if hasOne then rcall('HSET', q.words, name, to) else rcall('HDEL', q.words, name) end
  return { '1', hasOne and to }
end

-- What the engine allows of a queue over all processes; '' takes a limit away.
function F.limit()
  local q = F.Q(F.arg())
  F.know(q)
  for _, name in ipairs({ 'concurrency', 'max', 'duration' }) do
    local value = F.arg()
    if value == '' then rcall('HDEL', q.meta, name) else rcall('HSET', q.meta, name, value) end
  end
  F.wake(q, 16)
  return F.awake()
end

-- Somebody will hear of what nobody decided: from now on it is kept.
function F.expect()
  rcall('SET', S .. 'catch', '1')
  local names = {}
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    if string.sub(name, -12) == '-escalations' then names[#names + 1] = name end
  end
  return names
end

function F.notes()
  return rcall('HGETALL', F.Q(F.arg()).notes)
end

local operations = { step = F.step, extend = F.extend, cancel = F.cancel, record = F.record, dead = F.deadLetters, letter = F.letter, replay = F.replay,
  discard = F.discard, bury = F.bury, clear = F.clear, schedule = F.keepSchedule, unschedule = F.unschedule, tick = F.tick,
  stats = F.stats, notes = F.notes, swap = F.swap, pause = F.pause, limit = F.limit, expect = F.expect, look = F.look, join = F.join, pass = F.pass,
  leave = F.leave, reconcile = F.reconcile, bereave = F.bereave }
F.beginForAll()
return operations[OP]()
`
