/** What is asked of a store besides: records, dead letters, schedules, notes, counts, and the look at what became due. */
export const STORE = `
local function cancel()
  local eid, hint, reason, message = arg(), arg(), arg(), arg()
  local q = find(eid, hint)
  if not q then return { 'unknown' } end
  local state = stateOf(q, eid)
  if state == 'completed' or state == 'failed' then return { 'finished' } end
  if state == 'running' then
    rcall('HSET', q.p .. eid, '~un', reason)
    local lock = rcall('GET', q.p .. eid .. ':lock')
    if lock then tell(string.match(lock, '^[^:]*'), 'c' .. message) end
    return { 'leased' }
  end
  if not takeOut(q, eid) then return { 'unknown' } end
  rcall('LPUSH', q.active, eid)
  giveUp(q, eid, reason, {}, false)
  return { 'cancelled', awake() }
end

local function record()
  local eid, hint = arg(), arg()
  local q = find(eid, hint)
  if not q then return false end
  return { q.name, stateOf(q, eid), rcall('HGETALL', q.p .. eid), eid }
end

local function deadMember(q, eid) return q.name .. '\\n' .. eid end

-- Of those before a death, at most so many are looked at: how far it came, and those that fit.
local function deadLetters()
  local before, limit, task, kind, since = arg(), num(), arg(), arg(), tonumber(arg())
  local found = {}
  local scanned = rcall('ZREVRANGEBYSCORE', S .. 'dead', before, '-inf', 'WITHSCORES', 'LIMIT', 0, 1000)
  for index = 1, #scanned, 2 do
    local split = string.find(scanned[index], '\\n', 1, true)
    local q, eid, death = Q(string.sub(scanned[index], 1, split - 1)), string.sub(scanned[index], split + 1),
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

local function findDead(eid, hint)
  local q = find(eid, hint)
  return q and rcall('ZSCORE', q.failed, eid) and q
end

local function letter()
  local eid, hint = arg(), arg()
  local q = findDead(eid, hint)
  return q and { q.name, 'failed', rcall('HGETALL', q.p .. eid), eid }
end

local function replay()
  local eid, hint, hasInput, data, isNothing, restarts = arg(), arg(), arg() == '1', arg(), arg() == '1', arg()
  local q = findDead(eid, hint)
  if not q then return false end
  local key = q.p .. eid
  E.reprocessJob({ key, q.events, q.failed, q.wait, q.meta, q.active, q.marker, q.prioritized, q.pc },
    { eid, 'LPUSH', 'failedReason', 'failed', '1', '1' })
  rcall('ZREM', S .. 'dead', deadMember(q, eid))
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
  if job[2] and not holderOf(q, job[2]) then
    if job[3] then
      holdFor(q, job[2], job[3] == 'inf' and 'inf' or tonumber(job[3]), job[5] or string.sub(eid, 3))
    else
      rcall('SET', q.p .. 'de:' .. job[2], eid)
    end
  end
  if job[1] then
    rcall('ZREM', q.prioritized, eid)
    promote(q)
    arrive(q, eid, job[1], NOW, tonumber(job[4]))
  end
  follow(q, eid)
  wake(q, 1)
  return { q.name, awake() }
end

local function removeDead(q, eid)
  rcall('ZREM', q.failed, eid)
  rcall('ZREM', S .. 'dead', deadMember(q, eid))
  rcall('DEL', q.p .. eid, q.p .. eid .. ':logs')
  event(q, 'removed', 'jobId', eid, 'prev', 'failed')
end

local function discard()
  local eid, hint = arg(), arg()
  local q = findDead(eid, hint)
  if not q then return '' end
  removeDead(q, eid)
  return '1'
end

local function bury()
  local job, text, fields = readJob(), arg(), {}
  for index = 1, num() do fields[index] = arg() end
  local q, eid = job.q, job.eid
  if rcall('ZSCORE', q.failed, eid) then removeDead(q, eid) end
  if rcall('EXISTS', q.p .. eid) == 1 then return '' end
  add(job)
  takeOut(q, eid)
  rcall('LPUSH', q.active, eid)
  addToHistory(q.p .. eid, table.remove(fields), fields)
  finish(q, eid, '0', 'failed', 'failedReason', text, fields, nil)
  return '1'
end

local function clear()
  local q, isMore = Q(arg()), false
  local function drop(list, eids)
    for _, eid in ipairs(eids) do
      if list == q.active then rcall('LREM', list, -1, eid)
      elseif list == q.wait then rcall('LREM', list, 1, eid)
      else rcall('ZREM', list, eid) end
      local lane = rcall('HMGET', q.p .. eid, '~ln', '~dk')
      if lane[1] then rcall('DEL', laneKey(q, lane[1])) end
      if lane[2] then rcall('DEL', q.p .. 'de:' .. lane[2]) end
      rcall('DEL', q.p .. eid, q.p .. eid .. ':lock', q.p .. eid .. ':logs')
    end
    if #eids == 500 then isMore = true end
  end
  for _, set in ipairs({ q.prioritized, q.delayed, q.children }) do drop(set, rcall('ZRANGE', set, 0, 499)) end
  for _, list in ipairs({ q.active, q.wait }) do drop(list, rcall('LRANGE', list, 0, 499)) end
  if isMore then return '1' end
  rcall('DEL', q.lanes, q.inLanes, q.leases, q.seen, q.notes, q.stalled)
  rcall('INCR', q.epoch) -- keys held for a time are of the epoch before, and are gone
  return ''
end

local function keepSchedule()
  local q, spec, next = Q(arg()), arg(), arg()
  know(q)
  local known = rcall('HMGET', q.schedule, 'spec', 'next')
  if known[1] == spec then return known[2] end
  rcall('HSET', q.schedule, 'spec', spec, 'next', next)
  return next
end

local function unschedule()
  local q = Q(arg())
  local isThere = rcall('HEXISTS', q.schedule, 'spec')
  rcall('HDEL', q.schedule, 'spec', 'next') -- the latest job stays known: what it made is not made again
  return tostring(isThere)
end

local function isUnfinished(q, eid)
  local state = eid and stateOf(q, eid)
  return state and state ~= 'completed' and state ~= 'failed'
end

local function tick()
  local q, spec, due, next, overlap, hasJob = Q(arg()), arg(), arg(), arg(), arg() == '1', arg() == '1'
  local known = rcall('HMGET', q.schedule, 'spec', 'next', 'last')
  if known[1] ~= spec then return { 'stale', '' } end
  if known[2] ~= due then return { 'stale', known[2] } end
  rcall('HSET', q.schedule, 'next', next)
  if not hasJob then return { 'skipped', '' } end
  local job = readJob()
  if rcall('EXISTS', q.p .. job.eid) == 1 then return { 'stale', next } end
  if not overlap and isUnfinished(q, known[3]) then return { 'skipped', idOf(q, known[3]) } end
  local id, isDuplicate = add(job)
  if isDuplicate == '1' then return { 'skipped', id } end
  rcall('HSET', q.schedule, 'last', job.eid)
  wakeForAdded()
  return { 'added', '', awake() }
end

-- The oldest of each priority is the first of its stretch; nothing else is read.
local function oldestOf(q, latest)
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

local function stats()
  local answers, latest = {}, (NOW + 1) * 4096 - 1
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    local q = Q(name)
    local due = rcall('ZCOUNT', q.delayed, 0, latest)
    local oldest = oldestOf(q, latest)
    answers[#answers + 1] = { name,
      rcall('ZCARD', q.prioritized) + rcall('ZCARD', q.children) + rcall('LLEN', q.wait) + due,
      rcall('ZCARD', q.delayed) - due, rcall('ZCARD', q.leases), rcall('ZCARD', q.failed),
      oldest and string.format('%.0f', oldest) or '', rcall('HEXISTS', q.meta, 'paused') }
  end
  return answers
end

-- What became due and what was lost, of queues that somebody here waits for.
local function look()
  local answers = {}
  for index = 1, num() do
    local q = Q(arg())
    expire(q)
    promote(q)
    local isDue = rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait) +
      rcall('ZCOUNT', q.delayed, 0, (NOW + 1) * 4096 - 1) > 0
    answers[index] = { q.name, isDue and '1' or '', nextOf(q.delayed, 4096), nextOf(q.leases, 1) }
  end
  return answers
end

-- Somebody waits for jobs; whether there are some already.
local function join()
  local q = Q(arg())
  rcall('SADD', q.idle, SELF)
  return rcall('ZCARD', q.prioritized) + rcall('ZCARD', q.delayed) + rcall('LLEN', q.wait) > 0 and '1' or ''
end

-- This process was told and takes nothing: somebody else may.
local function pass()
  local q = Q(arg())
  rcall('SREM', q.idle, SELF)
  if rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait) > 0 or nextOf(q.delayed, 4096) ~= '' then wake(q, 1) end
  return '1'
end

local function leave()
  for _ = 1, num() do rcall('SREM', Q(arg()).idle, SELF) end
  return '1'
end

-- What this process was given although it never heard so: the answer was lost on its way.
local function reconcile()
  local q, held = Q(arg()), {}
  for _ = 1, num() do held[arg()] = true end
  for _, eid in ipairs(rcall('ZRANGE', q.leases, 0, -1)) do
    local lock = rcall('GET', q.p .. eid .. ':lock')
    if lock and not held[lock] and string.match(lock, '^[^:]*') == SELF then putBack(q, eid) end
  end
  return '1'
end

-- Processes of which somebody knows for sure that they have ended: what they held was lost.
local function bereave()
  local gone = {}
  for _ = 1, num() do
    local process = arg()
    gone[process] = true
    rcall('HDEL', S .. 'processes', process)
  end
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    local q = Q(name)
    for _, eid in ipairs(rcall('ZRANGE', q.leases, 0, -1)) do
      local lock = rcall('GET', q.p .. eid .. ':lock')
      if lock and gone[string.match(lock, '^[^:]*')] then lose(q, eid) end
    end
    for process in pairs(gone) do rcall('SREM', q.idle, process) end
  end
  return '1'
end

-- Everywhere at once, for whoever takes asks the queue; those who wait are told when it goes on.
local function pause()
  local q, isPaused = Q(arg()), arg() == '1'
  know(q)
  E.pause({ isPaused and q.wait or q.paused, isPaused and q.paused or q.wait, q.meta, q.prioritized, q.events, q.delayed,
    q.marker }, { isPaused and 'paused' or 'resumed', '1' })
  if not isPaused then wake(q, 16) end
  return awake()
end

-- What the engine allows of a queue over all processes; '' takes a limit away.
local function limit()
  local q = Q(arg())
  know(q)
  for _, name in ipairs({ 'concurrency', 'max', 'duration' }) do
    local value = arg()
    if value == '' then rcall('HDEL', q.meta, name) else rcall('HSET', q.meta, name, value) end
  end
  wake(q, 16)
  return awake()
end

-- Somebody will hear of what nobody decided: from now on it is kept.
local function expect()
  rcall('SET', S .. 'catch', '1')
  local names = {}
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    if string.sub(name, -12) == '-escalations' then names[#names + 1] = name end
  end
  return names
end

local function notes()
  return rcall('HGETALL', Q(arg()).notes)
end

local others = { cancel = cancel, record = record, dead = deadLetters, letter = letter, replay = replay,
  discard = discard, bury = bury, clear = clear, schedule = keepSchedule, unschedule = unschedule, tick = tick,
  stats = stats, notes = notes, pause = pause, limit = limit, expect = expect, look = look, join = join, pass = pass,
  leave = leave, reconcile = reconcile, bereave = bereave }
return others[OP]()
`
