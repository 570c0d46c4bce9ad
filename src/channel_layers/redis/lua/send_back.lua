-- End a claim of a custody and append what takes its place to the queue.
-- KEYS: 1 the claim list, 2 slots, 3 the queue, 4 its bell
-- ARGV: 1 the custody, 2 the element it holds, 3 the element to append, whose time is set
-- Returns 1, or 0 if the custody does not hold it any more: an earlier call has done it
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end
local time = redis.call('TIME')
local element = ARGV[3]
if string.byte(element) == 109 or string.byte(element) == 107 then -- others are found by their bytes
    element = string.sub(element, 1, 1) .. struct.pack('>d', time[1] + time[2] / 1000000) .. string.sub(element, 10)
end
redis.call('RPUSH', KEYS[3], element)
if redis.call('EXISTS', KEYS[4]) == 0 then redis.call('RPUSH', KEYS[4], '') end
return 1
