-- What is open from epochs that ended: their numbers, then {intent, lease ms} of each hold that only this store knows.
-- KEYS[1] prefix of the organization
local p, intents = KEYS[1], {}
local epochs = redis.call('SMEMBERS', p .. ':ended')
for _, epoch in ipairs(epochs) do
  local open = redis.call('ZRANGE', p .. ':' .. epoch .. ':holds', 0, -1, 'WITHSCORES')
  for i = 1, #open, 2 do
    local record = redis.call('GET', p .. ':' .. epoch .. ':hold:' .. open[i])
    local held = record and cjson.decode(record)
    if held and held.i then intents[#intents + 1] = {held.i, open[i + 1]} end
  end
end
return {epochs, intents}
