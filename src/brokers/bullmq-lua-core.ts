/**
 * What each call begins with. Redis makes every function of a script anew at each call, so what most calls can do without
 * is made when it is first asked for. Keys with a `~` are ours.
 */
export const CORE = `
local OP, P, NOW, SELF = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local IS_CLUSTER, EVENTS, METRICS, KEEP_LAST, KEEP_AGE, LOST_LIMIT =
  ARGV[5] == '1', ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local LEASE = tonumber(ARGV[11])
local rcall = redis.call
local S = P .. ':~'
local HALF = 2147483648
local queues, woken = {}, {}
-- How many jobs this call may end, and whether it takes them from the leases at its end.
local ends, isShared = 1, false
local at = 11
local makeOthers
-- In one table: each function that captures many others would be searched for by each that is made after it.
local F = setmetatable({}, { __index = function(F, name)
  if makeOthers then
    local make = makeOthers
    makeOthers = nil
    make()
  end
  return rawget(F, name)
end })

function F.arg() at = at + 1; return ARGV[at] end
function F.num() return tonumber(F.arg()) end

local queue = {} -- gives the names of keys, once they are asked for

function F.Q(name)
  local q = queues[name]
  if not q then
    q = setmetatable({ name = name, p = P .. ':' .. name .. ':', isKnown = false, isReady = 0, taken = 0, freed = 0 }, queue)
    queues[name] = q
  end
  return q
end

function F.tell(process, message)
  return rcall('PUBLISH', S .. 'to:' .. process, message)
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
    if F.tell(process, 'w' .. q.name) > 0 or IS_CLUSTER then jobs = jobs - 1 end
  end
end

-- Queues of which this process may take jobs; with a mark, if it was counted as one of those that were told.
function F.awake()
  local names = {}
  for name, isCounted in pairs(woken) do names[#names + 1] = isCounted .. name end
  return names
end
`
