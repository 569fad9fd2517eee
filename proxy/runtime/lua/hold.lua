-- Hold the worst case of one call on every window of its chain, or on none.
-- KEYS[1] prefix of the organization; ARGV[1] JSON:
--   e epoch, id hold, now ms, until ms, a amount (nano-USD), v {{scope, version}},
--   w {{counter, limit, slice, first slice}} (slices: rolling windows only), r {{key, rpm}}, t {{key, tpm}},
--   k tokens wanted, kmin tokens at least, p {{key, parallel}}, rec the rest of the hold's record as JSON,
--   tell number of the window whose spending is told (if any),
--   least nano-USD that make sense and peers to leave room for (only if the amount can be lowered to a fair share)
-- Everything is read and judged before the first write: an error in a script does not roll back.
-- A counter's g names the load it came from. The record keeps it, so that a settlement never touches a counter
-- that was read from the ledger again meanwhile.
local TTL = 691200 -- eight days; a counter that idles longer is read from the ledger again
local p, q = KEYS[1], cjson.decode(ARGV[1])
local int = function(x) return string.format('%.0f', x) end

local epoch = redis.call('GET', p .. ':epoch')
if not epoch then return {'NOEPOCH'} end
if tonumber(epoch) ~= q.e then return {'EPOCH', epoch} end
local base = p .. ':' .. epoch
local record = base .. ':hold:' .. q.id
if redis.call('EXISTS', record) == 1 then return {'DUP'} end

local names, raised = {}, {}
for i, v in ipairs(q.v) do names[i] = v[1] end
local known = redis.call('HMGET', p .. ':ver', unpack(names))
for i, v in ipairs(q.v) do
  local version = tonumber(known[i] or '')
  if version and version > v[2] then return {'STALE', v[1]} end
  if not version or version < v[2] then
    raised[#raised + 1] = v[1]
    raised[#raised + 1] = int(v[2])
  end
end

-- {spent, held, generation} of a rolling window: the slices that still count; older ones are named in `gone`.
local rolling = function(key, first, gone)
  local all, s, h, g = redis.call('HGETALL', key), 0, 0, nil
  for i = 1, #all, 2 do
    local kind, slice = all[i]:match('^([sh]):(%d+)$')
    if all[i] == 'g' then g = all[i + 1]
    elseif slice and (tonumber(slice) >= first or kind == 'h' and all[i + 1] ~= '0') then
      if kind == 's' then s = s + tonumber(all[i + 1]) else h = h + tonumber(all[i + 1]) end
    elseif slice then gone[#gone + 1] = all[i] end
  end
  return {s, h, g}
end

local missing, tight, tightest, told, generations, old = {'MISS'}, nil, nil, nil, {}, {}
for i, w in ipairs(q.w) do
  local key, c = base .. ':w:' .. w[1], nil
  if w[3] then
    old[i] = {}
    c = rolling(key, w[4], old[i])
  else c = redis.call('HMGET', key, 's', 'h', 'g') end
  if not c[3] then
    missing[#missing + 1] = int(i - 1)
  else
    generations[i] = c[3]
    local s, h = tonumber(c[1]), tonumber(c[2])
    local room = w[2] - s - h
    if i == q.tell then told = s end
    if not tight or room < tightest then tight, tightest = {int(i - 1), int(s), int(h)}, room end
  end
end
if #missing > 1 then
  if redis.call('EXISTS', p .. ':ended') == 1 then return {'CARRY'} end
  -- A hold in flight that names the counter says that it was there, and is lost; what that hold will come to is
  -- not in the ledger yet, so the counter cannot be read from there in this epoch.
  local open = redis.call('ZRANGE', base .. ':holds', 0, -1)
  for i, id in ipairs(open) do open[i] = base .. ':hold:' .. id end
  for first = 1, #open, 500 do
    local held = redis.call('MGET', unpack(open, first, math.min(first + 499, #open)))
    for i = 2, #missing do
      local named = '[' .. cjson.encode(q.w[tonumber(missing[i]) + 1][1]) .. ','
      for _, record in ipairs(held) do
        if record and record:find(named, 1, true) then return {'LOST'} end
      end
    end
  end
  return missing
end
if tight and q.a > tightest and not (q.least and q.least <= tightest) then return {'DENY', unpack(tight)} end
if tight and q.least then
  local peers = math.max(1, math.min(q.peers, math.floor(tightest / math.max(1, q.least))))
  if q.a > tightest / peers then return {'SHARE', unpack(tight)} end
end

local tokens = q.k
for i, r in ipairs(q.r) do
  local used = tonumber(redis.call('GET', r[1]) or '0')
  if used + 1 > r[2] then return {'RPM', int(i - 1), int(used)} end
end
for i, t in ipairs(q.t) do
  local left = t[2] - tonumber(redis.call('GET', t[1]) or '0')
  if left < q.kmin then return {'TPM', int(i - 1), int(t[2] - left)} end
  if left < tokens then tokens = left end
end
local idle = {}
for i, s in ipairs(q.p) do
  redis.call('ZREMRANGEBYSCORE', s[1], '-inf', int(q.now))
  local busy = redis.call('ZCARD', s[1])
  if busy >= s[2] then return {'SLOTS', int(i - 1), int(busy)} end
  idle[i] = s[2] - busy - 1
end

local counters, answer = {}, {'OK', int(tokens)}
for i, w in ipairs(q.w) do
  local key, suffix = base .. ':w:' .. w[1], w[3] and ':' .. int(w[3]) or ''
  counters[i] = {w[1], suffix, generations[i]}
  if old[i] and #old[i] > 0 then redis.call('HDEL', key, unpack(old[i])) end
  redis.call('HINCRBY', key, 'h' .. suffix, int(q.a))
  redis.call('EXPIRE', key, TTL)
end
for _, r in ipairs(q.r) do
  answer[#answer + 1] = int(r[2] - redis.call('INCR', r[1]))
  redis.call('EXPIRE', r[1], 130)
end
for _, t in ipairs(q.t) do
  answer[#answer + 1] = int(t[2] - redis.call('INCRBY', t[1], int(tokens)))
  redis.call('EXPIRE', t[1], 130)
end
for i, s in ipairs(q.p) do
  answer[#answer + 1] = int(idle[i])
  redis.call('ZADD', s[1], int(q['until']), q.id)
  redis.call('EXPIRE', s[1], TTL)
end
if #raised > 0 then redis.call('HSET', p .. ':ver', unpack(raised)) end
local held = '{"k":"' .. int(tokens) .. '","w":' .. (#counters > 0 and cjson.encode(counters) or '[]') .. ',' .. q.rec
redis.call('SET', record, held, 'EX', TTL)
redis.call('ZADD', base .. ':holds', int(q['until']), q.id)
redis.call('EXPIRE', base .. ':holds', TTL)
if told then answer[#answer + 1] = int(told) end
return answer
