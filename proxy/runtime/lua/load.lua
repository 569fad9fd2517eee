-- Put a window's counter, as the ledger knows it, into the current epoch; an existing one is left alone.
-- KEYS[1] prefix; ARGV[1] JSON: e epoch, c counter, g name of this load, s {{suffix, spent}},
--   h {{hold id, amount, lease ms, suffix}} (suffixes: '' or ':<slice>' of a rolling window)
local TTL = 691200
local p, q = KEYS[1], cjson.decode(ARGV[1])
local int = function(x) return string.format('%.0f', x) end
local epoch = redis.call('GET', p .. ':epoch')
if not epoch or tonumber(epoch) ~= q.e then return 'EPOCH' end
local base = p .. ':' .. epoch
local counter = base .. ':w:' .. q.c
if redis.call('HEXISTS', counter, 'g') == 1 then return 'OK' end
redis.call('HSET', counter, 'g', q.g)
for _, spent in ipairs(q.s) do
  redis.call('HINCRBY', counter, 's' .. spent[1], int(spent[2]))
  redis.call('HINCRBY', counter, 'h' .. spent[1], 0)
end
for _, hold in ipairs(q.h) do
  local key = base .. ':hold:' .. hold[1]
  local found = redis.call('GET', key)
  local held = found and cjson.decode(found) or {a = int(hold[2]), k = '0', w = {}, r = {}, t = {}, p = {}}
  for i = #held.w, 1, -1 do
    if held.w[i][1] == q.c then table.remove(held.w, i) end
  end
  held.w[#held.w + 1] = {q.c, hold[4], q.g}
  redis.call('SET', key, cjson.encode(held), 'EX', TTL)
  redis.call('ZADD', base .. ':holds', int(hold[3]), hold[1])
  redis.call('HINCRBY', counter, 'h' .. hold[4], int(hold[2]))
end
if #q.h > 0 then redis.call('EXPIRE', base .. ':holds', TTL) end
redis.call('EXPIRE', counter, TTL)
return 'OK'
