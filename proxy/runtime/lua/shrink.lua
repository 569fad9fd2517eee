-- What a call cost is on its worker's disk and cannot reach SQL yet: give its rates and slots back, and go on holding
-- what it cost, no more. The record keeps its intent with that amount, so that nothing is lost with the disk.
-- KEYS[1] prefix; ARGV, six for each hold: its id, epoch of the hold, cost (nano-USD), tokens used, the intent as JSON,
-- end of the lease in ms, by when it should have reached SQL
local p = KEYS[1]
local int = function(x) return string.format('%.0f', x) end

local shrink = function(id, epoch, cost_text, tokens, intent, until_ms)
  local cost = tonumber(cost_text)
  local base = p .. ':' .. epoch
  local record = base .. ':hold:' .. id
  local found = redis.call('GET', record)
  if not found then return 'GONE' end
  local held = cjson.decode(found)
  for _, key in ipairs(held.t) do
    if redis.call('EXISTS', key) == 1 then
      redis.call('INCRBY', key, int(tonumber(tokens) - tonumber(held.k)))
    end
  end
  for _, key in ipairs(held.p) do redis.call('ZREM', key, id) end
  for _, w in ipairs(held.w) do
    local counter = base .. ':w:' .. w[1]
    if redis.call('HGET', counter, 'g') == w[3] then
      redis.call('HINCRBY', counter, 'h' .. w[2], int(cost - tonumber(held.a)))
    end
  end
  held.a, held.i, held.k, held.r, held.t, held.p = int(cost), intent, '0', {}, {}, {}
  redis.call('SET', record, cjson.encode(held), 'KEEPTTL')
  redis.call('ZADD', base .. ':holds', 'XX', 'GT', until_ms, id)
  return 'OK'
end

local answers = {}
for i = 1, #ARGV, 6 do answers[#answers + 1] = shrink(unpack(ARGV, i, i + 5)) end
return answers
