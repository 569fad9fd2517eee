-- Publish an organization's epoch; a published one is never lowered.
-- KEYS[1] prefix; ARGV[1] epoch
local key = KEYS[1] .. ':epoch'
local known = redis.call('GET', key)
if not known or tonumber(known) < tonumber(ARGV[1]) then redis.call('SET', key, ARGV[1]) end
return 'OK'
