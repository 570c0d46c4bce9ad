-- Take a queue or an inbox out of a group, unless it was registered again.
-- KEYS: 1 the group
-- ARGV: 1 the queue or inbox, 2 the time it was registered as it stood in the group, or '' for any,
--       3 seconds that must have passed since then
-- Returns 1 if it was taken out
local registered = redis.call('HGET', KEYS[1], ARGV[1])
if not registered or (ARGV[2] ~= '' and ARGV[2] ~= registered) then return 0 end
local time = redis.call('TIME')
if time[1] + time[2] / 1000000 - registered < tonumber(ARGV[3]) then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
