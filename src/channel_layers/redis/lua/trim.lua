-- Delete the entries of an inbox that were read, let it live on, and tell the senders that wait for room.
-- KEYS: 1 the stream, 2 gaps, 3 waiting, 4 room
-- ARGV: 1 the id of the first entry to keep, 2 seconds the inbox lives, 3 seconds the room lives
-- Returns how many entries were deleted
local deleted = redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
local waiting = tonumber(redis.call('GETDEL', KEYS[3]) or 0)
for _ = 1, waiting do redis.call('RPUSH', KEYS[4], '') end
if waiting > 0 then redis.call('EXPIRE', KEYS[4], ARGV[3]) end
return deleted
