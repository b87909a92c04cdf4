/**
 * How jobs go that only wait for their turn, are taken and done: with no delay, lane or key, in a queue without limits.
 * It writes what the engine's scripts would, with a quarter of the commands where many share a step, and leaves all else to them
 * (docs/decisions/032-a-short-way-for-plain-jobs.md). Words are read where they stand: a table for each job costs more
 * than most commands.
 */
export const SHORT = `
-- So many results more than are to be kept may lie about: to look for them at each end would cost more than they do.
local SLACK = KEEP_AGE < 3600 and 1 or math.max(1, math.min(100, math.floor(KEEP_LAST / 100)))

-- Coming in: the places of their words, in their order. Each is a 'p', queue, id, name, data, priority.
function F.addPlain(q, places)
  local p, count = q.p, #places
  local events = p .. 'events'
  local turn = rcall('INCRBY', p .. 'pc', count)
  if turn <= HALF then
    F.know(q)
    turn = rcall('INCRBY', p .. 'pc', HALF)
  end
  turn = turn - count
  local ready, priority, opts = {}, nil, nil
  for index = 1, count do
    local first = places[index]
    local eid, name = 'j-' .. ARGV[first + 3], ARGV[first + 4]
    if priority ~= ARGV[first + 6] then
      priority = ARGV[first + 6]
      opts = '{"priority":' .. priority .. ',"attempts":2147483647}'
    end
    rcall('HSET', p .. eid, 'name', name, 'data', ARGV[first + 5], 'opts', opts, 'timestamp', ARGV[3], 'delay', '0',
      'priority', priority, '~v', '1', '~by', SELF)
    rcall('XADD', events, '*', 'event', 'added', 'jobId', eid, 'name', name)
    rcall('XADD', events, 'MAXLEN', '~', EVENTS, '*', 'event', 'waiting', 'jobId', eid)
    ready[#ready + 1] = priority * 4294967296 + (turn + index) % 4294967296
    ready[#ready + 1] = eid
    if #ready == 1000 or index == count then
      rcall('ZADD', p .. 'prioritized', unpack(ready))
      ready = {}
    end
  end
  q.isReady = q.isReady + count
end

function F.enqueueAll()
  local answers, adding = {}, nil
  local function addThosePlain()
    for q, places in pairs(adding) do F.addPlain(q, places) end
    adding = nil
  end
  at = at + 1
  for index = 1, ARGV[at] do
    local begin, count, place = at, ARGV[at + 1] + 0, at + 1
    local arePlain = IS_SHORT
    for nth = 1, count do arePlain = arePlain and ARGV[place + 6 * nth - 5] == 'p' end
    if arePlain then
      local answer = {}
      for nth = 1, count do
        local q = F.Q(ARGV[place + 2])
        adding = adding or {}
        local places = adding[q]
        if not places then
          places = {}
          adding[q] = places
        end
        places[#places + 1] = place
        answer[2 * nth - 1], answer[2 * nth] = ARGV[place + 3], ''
        place = place + 6
      end
      at, answers[index] = place, answer
    else
      if adding then addThosePlain() end -- they came before
      at = begin
      answers[index] = F.addOthers()
    end
  end
  if adding then addThosePlain() end
  return answers
end

-- Taking

-- What nobody needs who works a job.
local UNASKED = { name = true, opts = true, timestamp = true, delay = true, priority = true, ats = true }

-- Nothing, if the queue has limits, or anything but jobs that wait for their turn. A half in the time of a lease says that
-- it is of a job that was taken ahead of a slot. One that was lost before is not, nor are others while it is worked: if
-- it is lost again it is to be known that it was this one.
function F.takePlain(q, limit, ahead, token)
  if not IS_SHORT then return nil end
  local p = q.p
  local meta = rcall('HMGET', p .. 'meta', 'paused', 'concurrency', 'max')
  q.limit = meta[2]
  if meta[1] or meta[2] or meta[3] then return nil end
  local due = rcall('ZRANGE', p .. 'delayed', 0, 0, 'WITHSCORES')[2]
  if due and math.floor(due / 4096) <= NOW or rcall('LLEN', p .. 'wait') > 0 then return nil end
  local first = rcall('ZPOPMIN', p .. 'prioritized', limit + ahead)
  local taken, active, leases, count = {}, {}, {}, #first / 2
  if count > limit then
    q.idlers = rcall('SCARD', p .. '~idle')
    if q.idlers > 0 then count = F.putRest(q, first, limit) end -- somebody else has a slot
  end
  for index = 1, count do
    local eid = first[2 * index - 1]
    local key = p .. eid
    local all, row, tried, wasLost, until_ = rcall('HGETALL', key), {}, 0, false, NOW + LEASE
    for place = 1, #all, 2 do
      local field = all[place]
      if not UNASKED[field] then row[#row + 1], row[#row + 2] = field, all[place + 1]
      elseif field == 'ats' then tried = all[place + 1] end
      if field == 'stc' then wasLost = true end
    end
    if wasLost and count > limit then count = F.putRest(q, first, math.max(limit, index - 1)) end
    if index > count then break end
    if index > limit then until_ = until_ + 0.5 end
    rcall('SET', key .. ':lock', SELF .. ':' .. token + index - 1, 'PX', 2 * LEASE + 5000)
    rcall('XADD', p .. 'events', '*', 'event', 'active', 'jobId', eid, 'prev', 'waiting')
    rcall('HSET', key, 'processedOn', ARGV[3], 'pb', SELF, 'ats', tried + 1)
    taken[index], active[index], leases[2 * index - 1], leases[2 * index] = { eid, row }, eid, until_, eid
  end
  if count > 0 then
    rcall('LPUSH', p .. 'active', unpack(active))
    rcall('ZADD', p .. '~leases', unpack(leases))
    q.taken = q.taken + count
  end
  return taken, due and math.floor(due / 4096) or ''
end

-- Those behind so many stand again where they stood.
function F.putRest(q, first, count)
  local rest = {}
  for place = 2 * count + 1, #first, 2 do rest[#rest + 1], rest[#rest + 2] = first[place + 1], first[place] end
  if #rest > 0 then rcall('ZADD', q.p .. 'prioritized', unpack(rest)) end
  return count
end

-- Leases that ran out are looked for where nothing else is at hand, and by those who ask for jobs and for nothing besides.
-- Some are taken ahead of free slots, where nobody else has one.
function F.take(q, limit, ahead, token, isAlong)
  local leases, idle = q.p .. '~leases', q.p .. '~idle'
  local leaseEnd = not isAlong and rcall('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
  if leaseEnd and leaseEnd + 0 <= NOW then return F.takeAny(q, limit, token, {}) end
  local taken, due = F.takePlain(q, limit, ahead, token)
  if not taken then return F.takeAny(q, limit, token, {}) end
  if #taken < limit then
    leaseEnd = rcall('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
    if leaseEnd and leaseEnd + 0 <= NOW then return F.takeAny(q, limit, token, taken) end
    q.isDry = true
    rcall('SADD', idle, SELF)
  else
    local idlers = q.idlers or rcall('SCARD', idle)
    if idlers > 0 then idlers = idlers - rcall('SREM', idle, SELF) end
    if idlers > 0 and rcall('ZCARD', q.p .. 'prioritized') > 0 then F.wake(q, 1) end
  end
  return { q.name, token, taken, 0, due, leaseEnd and math.floor(leaseEnd) or NOW + LEASE }
end

-- Coming to something

-- Those of one queue that are done: their places among the answers, and those of their words. Each is a 'd', queue, id,
-- token, result, how often it was tried before, who asked for it, and the number of more fields, with these.
function F.endPlain(q, indexes, places, answers)
  local p, locks, over = q.p, {}, {}
  for nth = 1, #places do locks[nth] = p .. 'j-' .. ARGV[places[nth] + 3] .. ':lock' end
  local held, free, known = rcall('MGET', unpack(locks)), {}, {}
  for nth = 1, #places do
    local lock = locks[nth]
    if held[nth] == SELF .. ':' .. ARGV[places[nth] + 4] and not known[lock] then
      known[lock] = true
      free[#free + 1], over[#over + 1] = lock, nth
    else
      answers[indexes[nth]] = ''
    end
  end
  if #over == 0 then return end
  rcall('DEL', unpack(free)) -- first: in a Redis that is full this is taken, and so is what follows
  local counter = rcall('INCRBY', p .. '~finished', #over)
  local count, events, times, eids = counter - #over, p .. 'events', {}, {}
  for nth = 1, #over do
    local place = places[over[nth]]
    local eid, text = 'j-' .. ARGV[place + 3], ARGV[place + 5]
    if rcall('LREM', p .. 'active', -1, eid) == 0 then
      answers[indexes[over[nth]]] = ''
    else
      answers[indexes[over[nth]]] = '1'
      local time = F.endTime(count + nth)
      times[#times + 1], times[#times + 2], eids[#eids + 1] = time, eid, eid
      rcall('HSET', p .. eid, 'atm', ARGV[place + 6] + 1, 'returnvalue', text, 'finishedOn', time,
        unpack(ARGV, place + 9, place + 8 + ARGV[place + 8]))
      rcall('XADD', events, 'MAXLEN', '~', EVENTS, '*', 'event', 'completed', 'jobId', eid, 'returnvalue', text, 'prev',
        'active')
      if ARGV[place + 7] ~= SELF then F.tellEnd(ARGV[place + 7], ARGV[place + 3], false) end
    end
  end
  if #eids == 0 then return end
  rcall('ZREM', p .. '~leases', unpack(eids))
  rcall('ZADD', p .. 'completed', unpack(times))
  q.freed = #eids
  local isNext = METRICS ~= '' and F.isNextMinute(q, #eids)
  if isNext or math.floor(counter / SLACK) ~= math.floor(count / SLACK) then F.dropOldest(q) end
end

-- Jobs that end in one millisecond keep their order by a part of it.
function F.endTime(count)
  local scale = 2 ^ (51 - math.floor(math.log(NOW + 1) / math.log(2)))
  return string.format('%.17g', NOW + (count % scale) / scale)
end

-- Counts them for the engine's metrics.
function F.isNextMinute(q, jobs)
  local key = q.p .. 'metrics:completed'
  local count, since = rcall('HINCRBY', key, 'count', jobs) - jobs, rcall('HGET', key, 'prevTS')
  if since and math.floor(NOW / 60000) <= math.floor(since / 60000) then return false end
  F.addPoints(q, count)
  return true
end

function F.settleAll()
  local answers, ending, others = {}, {}, nil
  at = at + 1
  ends = tonumber(ARGV[at])
  isShared = true
  for index = 1, ends do
    if IS_SHORT and KEEP_LAST > 0 and ARGV[at + 1] == 'd' then
      local q = F.Q(ARGV[at + 2])
      local list = ending[q]
      if not list then
        list = { {}, {} }
        ending[q] = list
      end
      local nth = #list[1] + 1
      list[1][nth], list[2][nth] = index, at
      at = at + 8 + ARGV[at + 8]
    else
      others = others or {}
      others[#others + 1] = F.readEnd(index)
    end
  end
  for q, list in pairs(ending) do F.endPlain(q, list[1], list[2], answers) end
  if others then F.settleOthers(others, answers) end
  return answers, ending
end

-- Jobs of a queue have ended, and others were taken.
function F.closeEnd(q)
  local p = q.p
  if not q.freed then return end
  if q.limit == nil then q.limit = rcall('HGET', p .. 'meta', 'concurrency') end
  if q.limit then F.wake(q, q.freed) end
  if q.taken > 0 or rcall('LLEN', p .. 'active') > 0 then return end
  if not q.isDry and (rcall('LLEN', p .. 'wait') > 0 or rcall('ZCARD', p .. 'prioritized') > 0) then return end
  rcall('XADD', p .. 'events', '*', 'event', 'drained') -- as the engine does
end

-- What a process asks for in a turn of its event loop: jobs are added, others have ended, and as many are taken. First
-- those that are added, so that a Redis that is full refuses all of it. At last those that were taken ahead and have begun.
function F.turn()
  local added, taken = F.enqueueAll(), {}
  local settled, ending = F.settleAll()
  at = at + 1
  for index = 1, ARGV[at] do
    local q = F.Q(ARGV[at + 1])
    taken[index] = F.take(q, ARGV[at + 2] + 0, ARGV[at + 3] + 0, ARGV[at + 4], true)
    q.isReady = q.isReady - #taken[index][3]
    at = at + 4
  end
  at = at + 1
  for _ = 1, ARGV[at] do
    rcall('ZADD', F.Q(ARGV[at + 1]).p .. '~leases', 'XX', NOW + LEASE, ARGV[at + 2])
    at = at + 2
  end
  for q in pairs(ending) do F.closeEnd(q) end
  F.wakeAdded()
  -- Queues of which this process may take jobs; with a mark, if it was counted as one of those that were told.
  local names = {}
  for name, isCounted in pairs(woken) do names[#names + 1] = isCounted .. name end
  return { added, settled, taken, names }
end

-- At most 16 for a queue: each of those wakes another one if it finds more than it can take.
function F.wakeAdded()
  for _, q in pairs(queues) do
    if q.isReady > 0 then F.wake(q, math.min(q.isReady, 16)) end
  end
end

-- So many jobs may be taken: as many of those who found nothing are told. One that does not hear is gone.
function F.wake(q, jobs)
  local idle = q.p .. '~idle'
  woken[q.name] = woken[q.name] or ''
  if rcall('SCARD', idle) == 0 then return end
  if rcall('SREM', idle, SELF) == 1 then
    jobs = jobs - 1
    woken[q.name] = '!'
  end
  while jobs > 0 do
    local process = rcall('SPOP', idle)
    if not process then return end
    if rcall('PUBLISH', S .. 'to:' .. process, 'w' .. q.name) > 0 or IS_CLUSTER then jobs = jobs - 1 end
  end
end

function F.lease()
  local q = F.Q(ARGV[at + 1])
  local found = F.take(q, ARGV[at + 2] + 0, 0, ARGV[at + 3], false)
  return { found, F.awake() }
end
`
