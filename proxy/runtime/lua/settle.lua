-- Turn a hold into spending: release what was held, add what it cost. Idempotent by hold id.
-- KEYS[1] prefix; ARGV: hold id, cost (nano-USD), tokens used (-1 = keep the reservation), epoch of the hold,
-- 'undo' for a hold that never became an intent and shall not count as a request
-- Money is settled in the epoch that stands now, which may have taken the hold over from the ledger; limits per
-- minute and slots know no epochs, and are given back from the record that the hold itself wrote.
local p, id = KEYS[1], ARGV[1]
local epoch = redis.call('GET', p .. ':epoch')
if not epoch then return 'NOEPOCH' end
local base = p .. ':' .. epoch
local record, own = base .. ':hold:' .. id, p .. ':' .. ARGV[4] .. ':hold:' .. id
local money = redis.call('HMGET', record, 'a', 'w')
local rates = redis.call('HMGET', own, 'k', 't', 'p', 'r')
redis.call('ZREM', base .. ':holds', id)

if money[1] then
  for _, name in ipairs(cjson.decode(money[2])) do
    local counter = base .. ':w:' .. name
    if redis.call('EXISTS', counter) == 1 then
      redis.call('HINCRBY', counter, 'h', '-' .. money[1])
      redis.call('HINCRBY', counter, 's', ARGV[2])
    end
  end
end
if rates[1] then
  if tonumber(ARGV[3]) >= 0 then
    for _, key in ipairs(cjson.decode(rates[2])) do
      if redis.call('EXISTS', key) == 1 then
        redis.call('INCRBY', key, string.format('%.0f', tonumber(ARGV[3]) - tonumber(rates[1])))
      end
    end
  end
  for _, key in ipairs(cjson.decode(rates[3])) do redis.call('ZREM', key, id) end
  if ARGV[5] == 'undo' then
    for _, key in ipairs(cjson.decode(rates[4])) do
      if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
    end
  end
end
redis.call('DEL', record, own)
return money[1] and 'OK' or 'GONE'
