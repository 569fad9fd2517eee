-- Hold the worst case of one call on every window of its chain, or on none.
-- KEYS[1] prefix of the organization; ARGV[1] JSON:
--   e epoch, id hold, now ms, lease ms, a amount (nano-USD), v {{scope, version}}, w {{counter, limit}},
--   m minute, r {{scope, rpm}}, t {{scope, tpm}}, k tokens wanted, kmin tokens at least, p {{scope, parallel}}
-- Everything is read and judged before the first write: an error in a script does not roll back.
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

local missing, tight, tightest = {'MISS'}, nil, nil
for i, w in ipairs(q.w) do
  local c = redis.call('HMGET', base .. ':w:' .. w[1], 's', 'h')
  local s, h = tonumber(c[1] or ''), tonumber(c[2] or '')
  if not s or not h then
    missing[#missing + 1] = int(i - 1)
  else
    local room = w[2] - s - h
    if not tight or room < tightest then tight, tightest = {int(i - 1), int(s), int(h)}, room end
  end
end
if #missing > 1 then return missing end
if tight and q.a > tightest then return {'DENY', unpack(tight)} end

local rpm, tpm, tokens = {}, {}, q.k
for i, r in ipairs(q.r) do
  rpm[i] = p .. ':r:' .. r[1] .. ':' .. int(q.m)
  local used = tonumber(redis.call('GET', rpm[i]) or '0')
  if used + 1 > r[2] then return {'RPM', int(i - 1), int(used)} end
end
for i, t in ipairs(q.t) do
  tpm[i] = p .. ':t:' .. t[1] .. ':' .. int(q.m)
  local left = t[2] - tonumber(redis.call('GET', tpm[i]) or '0')
  if left < q.kmin then return {'TPM', int(i - 1), int(t[2] - left)} end
  if left < tokens then tokens = left end
end
local slots = {}
for i, s in ipairs(q.p) do
  slots[i] = p .. ':p:' .. s[1]
  redis.call('ZREMRANGEBYSCORE', slots[i], '-inf', int(q.now))
  local busy = redis.call('ZCARD', slots[i])
  if busy >= s[2] then return {'SLOTS', int(i - 1), int(busy)} end
end

local counters, answer = {}, {'OK', int(tokens)}
for i, w in ipairs(q.w) do
  counters[i] = w[1]
  redis.call('HINCRBY', base .. ':w:' .. w[1], 'h', int(q.a))
  redis.call('EXPIRE', base .. ':w:' .. w[1], TTL)
end
for i, key in ipairs(rpm) do
  answer[#answer + 1] = int(q.r[i][2] - redis.call('INCR', key))
  redis.call('EXPIRE', key, 130)
end
for i, key in ipairs(tpm) do
  answer[#answer + 1] = int(q.t[i][2] - redis.call('INCRBY', key, int(tokens)))
  redis.call('EXPIRE', key, 130)
end
for _, key in ipairs(slots) do
  redis.call('ZADD', key, int(q.now + q.lease), q.id)
  redis.call('EXPIRE', key, TTL)
end
if #raised > 0 then redis.call('HSET', p .. ':ver', unpack(raised)) end
redis.call('HSET', record, 'a', int(q.a), 'w', cjson.encode(counters), 'k', int(tokens),
  'r', cjson.encode(rpm), 't', cjson.encode(tpm), 'p', cjson.encode(slots))
redis.call('EXPIRE', record, TTL)
redis.call('ZADD', base .. ':holds', int(q.now + q.lease), q.id)
redis.call('EXPIRE', base .. ':holds', TTL)
return answer
