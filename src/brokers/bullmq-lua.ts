/**
 * What the scripts of this broker share. Each of them runs as one step in Redis; `E` are the engine's own scripts, which
 * move jobs between its lists (docs/decisions/024-the-engine-inside-our-scripts.md). Keys with a `~` are ours.
 */
export const SHARED = `
local KEYS_OF = { children = 'waiting-children', leases = '~leases', lanes = '~lanes', inLanes = '~delayed',
  idle = '~idle', schedule = '~schedule', notes = '~notes', words = '~words', seen = '~seen', epoch = '~epoch', wait = 'wait',
  active = 'active', prioritized = 'prioritized', delayed = 'delayed', completed = 'completed', failed = 'failed',
  events = 'events', meta = 'meta', limiter = 'limiter', pc = 'pc', marker = 'marker', stalled = 'stalled',
  paused = 'paused', id = 'id' }
function queue.__index(q, name)
  local part = KEYS_OF[name]
  if not part then return nil end
  local key = q.p .. part
  rawset(q, name, key)
  return key
end

function F.arg() at = at + 1; return ARGV[at] end
function F.num() return tonumber(F.arg()) end

function F.words(from, to)
  local words = {}
  for index = from, to do words[#words + 1] = ARGV[index] end
  return words
end

-- A queue that is used for the first time.
function F.know(q)
  if q.isKnown then return end
  q.isKnown = true
  if rcall('SADD', S .. 'queues', q.name) == 0 then return end
  rcall('HSET', q.meta, 'opts.maxLenEvents', EVENTS)
  rcall('SETNX', q.pc, HALF) -- what is put back stands before all that was never taken
end

function F.event(q, ...)
  rcall('XADD', q.events, 'MAXLEN', '~', EVENTS, '*', 'event', ...)
end

function F.tell(process, message)
  return rcall('PUBLISH', S .. 'to:' .. process, message)
end

-- Queues of which this process may take jobs; with a mark, if it was counted as one of those that were told.
function F.awake()
  local names = {}
  for name, isCounted in pairs(woken) do names[#names + 1] = isCounted .. name end
  return names
end

-- The engine's order inside a priority is a number that counts up; it must not begin again while jobs stand behind.
function F.turnOf(q, priority)
  return priority * 4294967296 + rcall('INCR', q.pc) % 4294967296
end

function F.makeReady(q, eid, turn)
  rcall('ZADD', q.prioritized, turn, eid)
  rcall('ZADD', q.marker, 0, '0')
  F.event(q, 'waiting', 'jobId', eid)
end

-- Lanes: only the head of a lane is among the engine's prioritized jobs. Those behind stand in its waiting-children, by
-- the time they were due, and in a set of their lane.

function F.laneKey(q, lane) return q.p .. '~lane:' .. lane end

function F.standBehind(q, eid, lane, due, turn)
  local member = string.format('%010d', turn % 4294967296) .. eid
  rcall('ZADD', F.laneKey(q, lane), due, member)
  rcall('ZADD', q.children, due, eid)
  rcall('HSET', q.p .. eid, '~lm', member, '~sc', turn)
end

function F.comeBehind(q, eid, lane, member)
  rcall('ZREM', F.laneKey(q, lane), member)
  rcall('ZREM', q.children, eid)
end

-- A job of a lane is due. Whether it may be taken.
function F.arrive(q, eid, lane, due, priority)
  local head = rcall('HGET', q.lanes, lane)
  local turn = F.turnOf(q, priority)
  if head and head ~= eid then
    F.standBehind(q, eid, lane, due, turn)
    return false
  end
  if not head then rcall('HSET', q.lanes, lane, eid) end
  F.makeReady(q, eid, turn)
  return true
end

-- Delayed jobs of lanes that became due: those without a lane the engine promotes itself.
function F.promote(q)
  while true do
    local due = rcall('ZRANGEBYSCORE', q.inLanes, '-inf', NOW, 'LIMIT', 0, 200)
    if #due == 0 then return end
    rcall('ZREM', q.inLanes, unpack(due))
    for _, eid in ipairs(due) do
      if rcall('ZREM', q.delayed, eid) == 1 then
        local job = rcall('HMGET', q.p .. eid, '~ln', '~due', 'priority')
        rcall('HSET', q.p .. eid, 'delay', 0)
        F.arrive(q, eid, job[1], tonumber(job[2]), tonumber(job[3]))
      end
    end
  end
end

-- A job is over: if it was the head of its lane, the next one is.
function F.leaveLane(q, eid, lane)
  if not lane or rcall('HGET', q.lanes, lane) ~= eid then return end
  F.promote(q)
  local member = rcall('ZRANGE', F.laneKey(q, lane), 0, 0)[1]
  if not member then
    rcall('HDEL', q.lanes, lane)
    return
  end
  local head = string.sub(member, 11)
  F.comeBehind(q, head, lane, member)
  rcall('HSET', q.lanes, lane, head)
  F.makeReady(q, head, tonumber(rcall('HGET', q.p .. head, '~sc')))
  F.wake(q, 1)
end

-- Keys to deduplicate by: those held while a job is unfinished are the engine's, those held for a time are ours.

function F.timedKey(q, key)
  return q.p .. '~key:' .. (rcall('GET', q.epoch) or '0') .. ':' .. key
end

function F.idOf(q, eid)
  return rcall('HGET', q.p .. eid, '~id') or string.sub(eid, 3)
end

-- The id of the job that holds a key.
function F.holderOf(q, key)
  local eid = rcall('GET', q.p .. 'de:' .. key)
  if eid and rcall('EXISTS', q.p .. eid) == 1 then return F.idOf(q, eid), eid end
  local seen = rcall('HGET', q.seen, key)
  if seen then return seen end
  local held = rcall('GET', F.timedKey(q, key))
  if not held then return nil end
  local space = string.find(held, ' ', 1, true)
  if tonumber(string.sub(held, 1, space - 1)) <= NOW then return nil end
  return string.sub(held, space + 1)
end

function F.holdFor(q, key, time, id)
  if time == 'inf' then
    rcall('HSET', q.seen, key, id)
    return
  end
  -- Which time it is says the caller's clock; that of Redis only takes away what nobody asked for again.
  rcall('SET', F.timedKey(q, key), string.format('%.0f', math.ceil(NOW + time)) .. ' ' .. id, 'PX',
    string.format('%.0f', math.ceil(time) + 60000))
end

-- Who waits for a job in another process is told that it is over.
function F.tellEnd(processes, id, isUnasked)
  for process in string.gmatch(processes, '%S+') do
    if process ~= SELF or isUnasked then F.tell(process, 's' .. id) end
  end
end

-- One after the other: numbers for all that this call may end are taken at once.
function F.endTimeIn(q)
  if not q.ended or q.ended == q.lastEnd then
    q.lastEnd = rcall('INCRBY', q.p .. '~finished', ends)
    q.ended = q.lastEnd - ends
  end
  q.ended = q.ended + 1
  return F.endTime(q.ended)
end

local options = {}
function F.optionsOf(token, target)
  local known = options[target .. token]
  if known then return known end
  local keep = target == 'failed' and { count = -1 } or { count = KEEP_LAST, age = KEEP_AGE }
  known = cmsgpack.pack({ token = token, keepJobs = keep, attempts = 0, maxMetricsSize = METRICS })
  options[target .. token] = known
  return known
end

-- Ends a job that is active; below 0 if that lock does not hold it. What the caller knows of the job needs no look.
function F.finish(q, eid, token, target, prop, text, fields, known, isUnasked)
  local key = q.p .. eid
  if not known then
    local job = rcall('HMGET', key, '~by', '~fw', '~ln')
    known = { processes = (job[1] or '') .. ' ' .. (job[2] or ''), lane = job[3] }
  elseif known.isFollowed then
    known.processes = known.processes .. ' ' .. (rcall('HGET', key, '~fw') or '')
  end
  if target == 'failed' then
    local death = rcall('INCR', S .. 'deaths')
    rcall('ZADD', S .. 'dead', death, q.name .. '\\n' .. eid)
    fields[#fields + 1] = '~dn'
    fields[#fields + 1] = death
  end
  if known.processes ~= SELF and KEEP_LAST == 0 then F.tellEnd(known.processes, F.idOf(q, eid), isUnasked) end
  local answer = E.moveToFinished(
    { q.wait, q.active, q.prioritized, q.events, q.stalled, q.limiter, q.delayed, q.paused, q.meta, q.pc, q[target],
      key, q.p .. 'metrics:' .. target, q.marker },
    { eid, F.endTimeIn(q), prop, text, target, '0', q.p, F.optionsOf(token, target),
      #fields > 0 and cmsgpack.pack(fields) or '' })
  if answer < 0 then return answer end
  if isShared then
    q.over = q.over or {}
    q.over[#q.over + 1] = eid
  else
    rcall('ZREM', q.leases, eid)
  end
  if (known.processes ~= SELF or isUnasked) and KEEP_LAST ~= 0 then F.tellEnd(known.processes, F.idOf(q, eid), isUnasked) end
  F.leaveLane(q, eid, known.lane)
  return answer
end

function F.flush()
  for _, q in pairs(queues) do
    if q.over then
      rcall('ZREM', q.leases, unpack(q.over))
      if rcall('HEXISTS', q.meta, 'concurrency') == 1 then F.wake(q, #q.over) end
    end
  end
end

-- Takes a job that nobody holds from wherever it waits; false if it is not there.
function F.takeOut(q, eid)
  local job = rcall('HMGET', q.p .. eid, '~ln', '~lm')
  if rcall('ZREM', q.delayed, eid) == 1 then
    if job[1] then rcall('ZREM', q.inLanes, eid) end
    return true
  end
  if rcall('ZREM', q.prioritized, eid) == 1 then return true end
  if rcall('ZSCORE', q.children, eid) then
    F.comeBehind(q, eid, job[1], job[2])
    return true
  end
  return rcall('LREM', q.wait, 1, eid) == 1
end

function F.giveUp(q, eid, reason, fields, isUnasked)
  local list = { '~st', 'cancelled', '~re', reason }
  for _, field in ipairs(fields) do list[#list + 1] = field end
  rcall('DEL', q.p .. eid .. ':lock')
  F.finish(q, eid, '0', 'completed', 'returnvalue',
    '{"status":"cancelled","reason":' .. (reason == '' and 'null' or reason) .. '}', list, nil, isUnasked)
end

-- A job that was held stands where it had stood: before those that were never taken, in the order it was taken in. If
-- somebody gave it up meanwhile, it is over instead.
function F.putBack(q, eid)
  local key = q.p .. eid
  local job = rcall('HMGET', key, '~un', 'priority')
  if job[1] then return F.giveUp(q, eid, job[1], {}, true) end
  local lock = rcall('GET', key .. ':lock')
  rcall('LREM', q.active, -1, eid)
  rcall('DEL', key .. ':lock')
  rcall('ZREM', q.leases, eid)
  local taken = lock and tonumber(string.match(lock, ':(%d+)')) or 0
  F.makeReady(q, eid, math.max(1, tonumber(job[2] or 1)) * 4294967296 + taken % HALF)
  F.wake(q, 1)
end

-- Nobody extended it. One that was lost too often gets the engine's mark for that, and whoever takes it next buries it.
-- It was no fault of one that had not begun, as far as is known: the field alone says that it was lost, and next time counts.
function F.lose(q, eid, leaseEnd)
  local lost = rcall('HINCRBY', q.p .. eid, 'stc', leaseEnd % 1 == 0 and 1 or 0)
  if lost >= LOST_LIMIT then rcall('HSET', q.p .. eid, 'defa', 'job stalled more than allowable limit') end
  F.event(q, 'stalled', 'jobId', eid)
  F.putBack(q, eid)
end

function F.expire(q)
  local ended = rcall('ZRANGEBYSCORE', q.leases, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, 200)
  for index = 1, #ended, 2 do F.lose(q, ended[index], tonumber(ended[index + 1])) end
end

function F.nextOf(set, divisor)
  local first = rcall('ZRANGE', set, 0, 0, 'WITHSCORES')
  return first[2] and string.format('%.0f', math.floor(tonumber(first[2]) / divisor)) or ''
end

-- Where a job is: undefined if there is none.
function F.stateOf(q, eid)
  if rcall('EXISTS', q.p .. eid) == 0 then return nil end
  if rcall('ZSCORE', q.leases, eid) then return 'running' end
  if rcall('ZSCORE', q.completed, eid) then return 'completed' end
  if rcall('ZSCORE', q.failed, eid) then return 'failed' end
  local delayed = rcall('ZSCORE', q.delayed, eid)
  if delayed then return math.floor(tonumber(delayed) / 4096) > NOW and 'delayed' or 'waiting' end
  return 'waiting'
end

-- The queue that has a job; looked for where it was said to be first.
function F.find(eid, hint)
  if hint ~= '' and rcall('EXISTS', P .. ':' .. hint .. ':' .. eid) == 1 then return F.Q(hint) end
  for _, name in ipairs(rcall('SMEMBERS', S .. 'queues')) do
    if name ~= hint and rcall('EXISTS', P .. ':' .. name .. ':' .. eid) == 1 then return F.Q(name) end
  end
end
`
