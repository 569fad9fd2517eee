-- Turn a hold into spending: release what was held, add what it cost. Idempotent by hold id.
-- KEYS[1] prefix; ARGV: hold id, cost (nano-USD), tokens used (-1 = keep the reservation),
-- 'undo' for a hold that never became an intent and shall not count as a request
local p, id = KEYS[1], ARGV[1]
local epoch = redis.call('GET', p .. ':epoch')
if not epoch then return 'NOEPOCH' end
local base = p .. ':' .. epoch
local record = base .. ':hold:' .. id
local r = redis.call('HMGET', record, 'a', 'w', 'k', 't', 'p', 'r')
redis.call('ZREM', base .. ':holds', id)
if not r[1] then return 'GONE' end
for _, name in ipairs(cjson.decode(r[2])) do
  local counter = base .. ':w:' .. name
  if redis.call('EXISTS', counter) == 1 then
    redis.call('HINCRBY', counter, 'h', '-' .. r[1])
    redis.call('HINCRBY', counter, 's', ARGV[2])
  end
end
if r[4] and tonumber(ARGV[3]) >= 0 then
  for _, key in ipairs(cjson.decode(r[4])) do
    if redis.call('EXISTS', key) == 1 then
      redis.call('INCRBY', key, string.format('%.0f', tonumber(ARGV[3]) - tonumber(r[3])))
    end
  end
end
if r[5] then
  for _, key in ipairs(cjson.decode(r[5])) do redis.call('ZREM', key, id) end
end
if r[6] and ARGV[4] == 'undo' then
  for _, key in ipairs(cjson.decode(r[6])) do
    if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
  end
end
redis.call('DEL', record)
return 'OK'
