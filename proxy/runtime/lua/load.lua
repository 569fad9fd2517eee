-- Put a window's counter, as the ledger knows it, into the current epoch; an existing one is left alone.
-- KEYS[1] prefix; ARGV[1] JSON: e epoch, c counter, s spent, h {{hold id, amount, lease ms}}
local TTL = 691200
local p, q = KEYS[1], cjson.decode(ARGV[1])
local int = function(x) return string.format('%.0f', x) end
local epoch = redis.call('GET', p .. ':epoch')
if not epoch or tonumber(epoch) ~= q.e then return 'EPOCH' end
local base = p .. ':' .. epoch
local counter = base .. ':w:' .. q.c
if redis.call('EXISTS', counter) == 1 then return 'OK' end
local held = 0
for _, hold in ipairs(q.h) do
  local record = base .. ':hold:' .. hold[1]
  local names = cjson.decode(redis.call('HGET', record, 'w') or '[]')
  names[#names + 1] = q.c
  redis.call('HSET', record, 'a', int(hold[2]), 'w', cjson.encode(names))
  redis.call('EXPIRE', record, TTL)
  redis.call('ZADD', base .. ':holds', int(hold[3]), hold[1])
  held = held + hold[2]
end
if #q.h > 0 then redis.call('EXPIRE', base .. ':holds', TTL) end
redis.call('HSET', counter, 's', int(q.s), 'h', int(held))
redis.call('EXPIRE', counter, TTL)
return 'OK'
