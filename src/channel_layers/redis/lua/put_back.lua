-- Return claimed messages to the heads of their queues.
-- KEYS: 1 the slot's claim list, then for each channel its queue and its bell
-- ARGV: pairs of a channel's position and an element, the last one taken first
-- Returns how many were returned
local returned = 0
for i = 1, #ARGV, 2 do
    local k = 2 * ARGV[i]
    if redis.call('LREM', KEYS[1], -1, ARGV[i + 1]) == 1 then
        redis.call('LPUSH', KEYS[k], ARGV[i + 1])
        if redis.call('EXISTS', KEYS[k + 1]) == 0 then redis.call('RPUSH', KEYS[k + 1], '') end
        returned = returned + 1
    end
end
return returned
