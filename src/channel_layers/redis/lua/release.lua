-- End the claims that a slot knows of.
-- KEYS: 1 the slot's claim list, 2 slots
-- ARGV: 1 the slot, 2 how many claims it knows of
-- Returns how many claims there were
local n = redis.call('LLEN', KEYS[1])
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end
return n
