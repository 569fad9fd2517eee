-- Turn holds into spending: release what was held, add what each cost. Idempotent by hold id.
-- KEYS[1] prefix; ARGV, five for each hold: its id, cost (nano-USD), tokens used (-1 = keep the reservation), epoch of
-- the hold, and 'undo' (else '') for one that never became an intent and shall not count as a request;
-- 'undo here' for one whose record is its intent: if its epoch is over, SQL may have been given it, and is asked first
-- Money is settled in the epoch that stands now, which may have taken the hold over from the ledger; limits per
-- minute and slots know no epochs, and are given back from the record that the hold itself wrote.
-- Answers for each hold what its counters have spent now, in the record's order; -1 for one it no longer belongs to.
-- MOVED: nothing was done.
local p = KEYS[1]
local epoch = redis.call('GET', p .. ':epoch')
local base, over, gone = p .. ':' .. (epoch or ''), {}, {}

local decoded = function(key)
  local found = redis.call('GET', key)
  return found and cjson.decode(found)
end

local release = function(id, cost, tokens, of_hold, how)
  if not epoch then return {'NOEPOCH'} end
  local record, own = base .. ':hold:' .. id, p .. ':' .. of_hold .. ':hold:' .. id
  local money = decoded(record)
  local rates = money
  if own ~= record then
    if how == 'undo here' then return {'MOVED'} end
    rates = decoded(own)
    redis.call('ZREM', p .. ':' .. of_hold .. ':holds', id)
  end
  local answer = {money and 'OK' or 'GONE'}

  if money then
    for _, w in ipairs(money.w) do
      local counter, spent = base .. ':w:' .. w[1], -1
      if redis.call('HGET', counter, 'g') == w[3] then
        redis.call('HINCRBY', counter, 'h' .. w[2], string.format('%.0f', 0 - tonumber(money.a)))
        spent = redis.call('HINCRBY', counter, 's' .. w[2], cost)
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
    if tonumber(tokens) >= 0 then
      for _, key in ipairs(rates.t) do
        if redis.call('EXISTS', key) == 1 then
          redis.call('INCRBY', key, string.format('%.0f', tonumber(tokens) - tonumber(rates.k)))
        end
      end
    end
    for _, key in ipairs(rates.p) do redis.call('ZREM', key, id) end
    if how ~= '' then
      for _, key in ipairs(rates.r) do
        if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
      end
    end
  end
  over[#over + 1] = id
  gone[#gone + 1] = record
  if own ~= record then gone[#gone + 1] = own end
  return answer
end

local answers = {}
for i = 1, #ARGV, 5 do answers[#answers + 1] = release(unpack(ARGV, i, i + 4)) end
if #over > 0 then
  redis.call('ZREM', base .. ':holds', unpack(over))
  redis.call('DEL', unpack(gone))
end
return answers
