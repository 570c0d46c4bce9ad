-- Register that a group reaches a queue or an inbox.
-- KEYS: 1 the group
-- ARGV: 1 the queue or inbox
-- Returns the time, as it stands in the group
local time = redis.call('TIME')
local now = time[1] .. string.format('.%06d', time[2])
redis.call('HSET', KEYS[1], ARGV[1], now)
return now
