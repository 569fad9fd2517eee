-- Turn a hold into spending: release what was held, add what it cost. Idempotent by hold id.
-- KEYS[1] prefix; ARGV: hold id, cost (nano-USD), tokens used (-1 = keep the reservation), epoch of the hold,
-- 'undo' for a hold that never became an intent and shall not count as a request
-- Money is settled in the epoch that stands now, which may have taken the hold over from the ledger; limits per
-- minute and slots know no epochs, and are given back from the record that the hold itself wrote.
-- Answers what each counter of the hold has spent now, in the record's order; -1 for one it no longer belongs to.
local p, id = KEYS[1], ARGV[1]
local epoch = redis.call('GET', p .. ':epoch')
if not epoch then return {'NOEPOCH'} end
local base = p .. ':' .. epoch
local record, own = base .. ':hold:' .. id, p .. ':' .. ARGV[4] .. ':hold:' .. id
local money = redis.call('GET', record)
local rates = own == record and money or redis.call('GET', own)
redis.call('ZREM', base .. ':holds', id)
local answer = {money and 'OK' or 'GONE'}

if money then
  local held = cjson.decode(money)
  for _, w in ipairs(held.w) do
    local counter, spent = base .. ':w:' .. w[1], -1
    if redis.call('HGET', counter, 'g') == w[3] then
      redis.call('HINCRBY', counter, 'h' .. w[2], string.format('%.0f', 0 - tonumber(held.a)))
      spent = redis.call('HINCRBY', counter, 's' .. w[2], ARGV[2])
      if w[2] ~= '' then
        spent = 0
        local all = redis.call('HGETALL', counter)
        for i = 1, #all, 2 do
          if all[i]:sub(1, 2) == 's:' then spent = spent + tonumber(all[i + 1]) end
        end
      end
    end
    answer[#answer + 1] = string.format('%.0f', spent)
  end
end
if rates then
  local held = cjson.decode(rates)
  if tonumber(ARGV[3]) >= 0 then
    for _, key in ipairs(held.t) do
      if redis.call('EXISTS', key) == 1 then
        redis.call('INCRBY', key, string.format('%.0f', tonumber(ARGV[3]) - tonumber(held.k)))
      end
    end
  end
  for _, key in ipairs(held.p) do redis.call('ZREM', key, id) end
  if ARGV[5] == 'undo' then
    for _, key in ipairs(held.r) do
      if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
    end
  end
  redis.call('DEL', own)
end
redis.call('DEL', record)
return answer
