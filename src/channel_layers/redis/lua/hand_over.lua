-- Move claims of a slot to a custody.
-- KEYS: 1 the slot's claim list, 2 the custody's, 3 slots
-- ARGV: 1 the slot, 2 the custody, 3... elements
-- Returns how many were moved; those that an earlier call has moved are not there to be moved again
local time = redis.call('TIME')
local moved = 0
for i = 3, #ARGV do
    if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
        redis.call('RPUSH', KEYS[2], ARGV[i])
        moved = moved + 1
    end
end
if moved > 0 then redis.call('HSET', KEYS[3], ARGV[2], struct.pack('>d', time[1] + time[2] / 1000000)) end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[3], ARGV[1]) end
return moved
