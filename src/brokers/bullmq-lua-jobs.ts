/** How jobs come in and are taken. */
export const JOBS = `
local FOREVER = 2147483647

function F.readJob()
  local first = at
  if ARGV[first + 1] == 'p' then
    at = first + 6
    return { q = F.Q(ARGV[first + 2]), id = ARGV[first + 3], eid = 'j-' .. ARGV[first + 3], isNew = true, name = ARGV[first + 4],
      data = ARGV[first + 5], priority = tonumber(ARGV[first + 6]), delay = 0, fields = { '~by', SELF } }
  end
  at = first + 13 + ARGV[first + 13]
  local job = { q = F.Q(ARGV[first + 2]), id = ARGV[first + 3], eid = ARGV[first + 4], isNew = ARGV[first + 5] == '1',
    name = ARGV[first + 6], data = ARGV[first + 7], priority = tonumber(ARGV[first + 8]), delay = tonumber(ARGV[first + 9]),
    fields = F.words(first + 14, at) }
  local lane, key, time = ARGV[first + 10], ARGV[first + 11], ARGV[first + 12]
  if lane ~= '' then job.lane = string.sub(lane, 2) end
  if key ~= '' then job.key = string.sub(key, 2) end
  if time ~= '' then job.time = time == 'inf' and time or tonumber(time) end
  return job
end

function F.readJobs()
  local jobs = {}
  for index = 1, F.num() do jobs[index] = F.readJob() end
  return jobs
end

-- Before anything is written: the id of a job that is there already.
function F.clashOf(jobs)
  local keys, ids = {}, {}
  for _, job in ipairs(jobs) do
    local held = job.key and job.q.name .. '\\n' .. job.key
    local isDuplicate = held and (keys[held] or F.holderOf(job.q, job.key))
    if held then keys[held] = true end
    local place = job.q.p .. job.eid
    if not isDuplicate and not job.time and not job.isNew and (ids[place] or rcall('EXISTS', place) == 1) then
      return job.id
    end
    ids[place] = true
  end
end

-- Another number behind an id that an older record still has.
function F.freeId(job)
  local id, eid, nth = job.id, job.eid, 1
  while rcall('EXISTS', job.q.p .. eid) == 1 do
    nth = nth + 1
    id, eid = job.id .. '#' .. nth, job.eid .. '#' .. nth
  end
  return id, eid
end

function F.follow(q, eid)
  local known = rcall('HMGET', q.p .. eid, '~by', '~fw')
  if known[1] == SELF or string.find(' ' .. (known[2] or '') .. ' ', ' ' .. SELF .. ' ', 1, true) then return end
  rcall('HSET', q.p .. eid, '~fw', (known[2] and known[2] .. ' ' or '') .. SELF)
end

-- Gives the id, and '1' if it is a duplicate.
function F.add(job)
  local q = job.q
  F.know(q)
  if job.key then
    local id, eid = F.holderOf(q, job.key)
    if id then
      if eid then F.follow(q, eid) end
      F.event(q, 'deduplicated', 'jobId', eid or id, 'deduplicationId', job.key, 'deduplicatedJobId', job.eid)
      return id, '1'
    end
  end
  local id, eid = job.id, job.eid
  if job.time then id, eid = F.freeId(job) end
  local key, due = q.p .. eid, NOW + job.delay
  local opts = { priority = job.priority, attempts = FOREVER }
  local args = { [1] = q.p, [2] = eid, [3] = job.name, [4] = NOW }
  if job.key and not job.time then
    opts.de = { id = job.key }
    args[9] = q.p .. 'de:' .. job.key
  end
  if job.delay > 0 then
    opts.delay = job.delay
    E.addDelayedJob({ q.marker, q.meta, q.id, q.delayed, q.completed, q.events },
      { cmsgpack.pack(args), job.data, cmsgpack.pack(opts) })
    if job.lane then rcall('ZADD', q.inLanes, due, eid) end
    if rcall('ZRANGE', q.delayed, 0, 0)[1] == eid then q.isReady = q.isReady + 1 end
  else
    if job.lane then F.promote(q) end
    E.addPrioritizedJob(
      { q.marker, q.meta, q.id, q.prioritized, q.delayed, q.completed, q.active, q.events, q.pc },
      { cmsgpack.pack(args), job.data, cmsgpack.pack(opts) })
    if job.lane then
      rcall('ZREM', q.prioritized, eid)
      F.arrive(q, eid, job.lane, due, job.priority)
    end
    q.isReady = q.isReady + 1
  end
  local fields = job.fields
  if job.delay > 0 then
    fields[#fields + 1] = '~due'
    fields[#fields + 1] = due
  end
  if job.lane then
    fields[#fields + 1] = '~ln'
    fields[#fields + 1] = job.lane
  end
  if job.key then
    fields[#fields + 1] = '~dk'
    fields[#fields + 1] = job.key
  end
  if job.time then
    fields[#fields + 1] = '~df'
    fields[#fields + 1] = job.time
    F.holdFor(q, job.key, job.time, id)
  end
  if eid ~= 'j-' .. id then
    fields[#fields + 1] = '~id'
    fields[#fields + 1] = id
  end
  rcall('HSET', key, '~v', '1', unpack(fields))
  return id, ''
end

-- Of those that are not known, as many as there is room for; one that is refused is said to be '2'.
function F.addAll(jobs, room)
  local answers = {}
  for index, job in ipairs(jobs) do
    local id, isDuplicate, counts = job.id, '2', room and job.q.name == room.queue
    if not counts or room.count < room.limit or (job.key and F.holderOf(job.q, job.key)) then
      id, isDuplicate = F.add(job)
      if counts and isDuplicate ~= '1' then room.count = room.count + 1 end
    end
    answers[2 * index - 1], answers[2 * index] = id, isDuplicate
  end
  return answers
end

function F.addOthers()
  local jobs = F.readJobs()
  local clash = F.clashOf(jobs)
  return clash and { '', clash } or F.addAll(jobs)
end

-- Of jobs whose step was heard, though its answer was lost.
function F.whatBecame(jobs)
  local answers = {}
  for index, job in ipairs(jobs) do
    local id, said = job.id, ''
    local holder = job.key and F.holderOf(job.q, job.key)
    if holder and holder ~= job.id and not (job.time and string.find(holder, job.id .. '#', 1, true) == 1) then
      id, said = holder, '1'
    elseif holder then
      id = holder
    elseif rcall('EXISTS', job.q.p .. job.eid) == 0 then
      said = '2'
    end
    answers[2 * index - 1], answers[2 * index] = id, said
  end
  return answers
end

function F.readRoom(q)
  local name, limit, back = F.arg(), F.num(), F.num()
  if name == '' then return nil end
  local count = tonumber(rcall('HGET', q.words, name) or 0) - back
  return { queue = q.name, name = name, limit = limit, count = math.max(0, count) }
end

-- Taking

function F.timeOf(first) return first[2] and string.format('%.0f', math.floor(tonumber(first[2]))) or '' end

-- Whatever waits in a queue; some are taken already.
function F.takeAny(q, limit, token, taken)
  F.beginForAll()
  local until_ = rcall('ZRANGE', q.leases, 0, 0, 'WITHSCORES')
  if until_[2] and tonumber(until_[2]) <= NOW then
    F.expire(q)
    until_ = rcall('ZRANGE', q.leases, 0, 0, 'WITHSCORES')
  end
  local due = rcall('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
  local isDue = due[2] and math.floor(tonumber(due[2]) / 4096) <= NOW
  if isDue then F.promote(q) end
  -- Not more than there are: asked once more than that, the engine would begin to count its turns anew.
  local count = rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait)
  if isDue then count = count + rcall('ZCOUNT', q.delayed, 0, (NOW + 1) * 4096 - 1) end
  local wait, before = 0, #taken
  if count > 0 then
    local held = {}
    local keys = { q.wait, q.active, q.prioritized, q.events, q.stalled, q.limiter, q.delayed, q.paused, q.meta, q.pc,
      q.marker }
    while #taken < limit and #taken - before < count do
      local opts = cmsgpack.pack({ token = SELF .. ':' .. token + #taken, lockDuration = 2 * LEASE + 5000, name = SELF })
      local job = E.moveToActive(keys, { q.p, NOW, opts })
      if type(job[1]) ~= 'table' then
        wait = job[3]
        break
      end
      taken[#taken + 1] = { job[2], job[1] }
      held[#held + 1] = NOW + LEASE
      held[#held + 1] = job[2]
    end
    if #held > 0 then rcall('ZADD', q.leases, unpack(held)) end
  end
  if #taken < limit then
    rcall('SADD', q.idle, SELF)
  else
    rcall('SREM', q.idle, SELF)
    if count > #taken - before and rcall('SCARD', q.idle) > 0 then F.wake(q, 1) end
  end
  local next = isDue and F.nextOf(q.delayed, 4096) or due[2] and string.format('%.0f', tonumber(due[2]) / 4096) or ''
  return { q.name, token, taken, tostring(math.ceil(tonumber(wait) or 0)), next,
    until_[2] and F.timeOf(until_) or string.format('%.0f', NOW + LEASE) }
end
`
