-- Take a message out of the dead letters and append it to its queue.
-- KEYS: 1 dead letters, 2 the queue, 3 its bell
-- ARGV: 1 the id of the letter, 2 how many messages may wait, 3 the element, whose time is set
-- Returns 1; 0 if there is no such letter; {depth, age of the oldest in s as text} if there is no room
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local depth = redis.call('LLEN', KEYS[2])
if depth >= tonumber(ARGV[2]) then
    local head = redis.call('LINDEX', KEYS[2], 0)
    return {depth, tostring(head and now - struct.unpack('>d', head, 2) or 0)}
end
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], 'm' .. struct.pack('>d', now) .. string.sub(ARGV[3], 10))
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('RPUSH', KEYS[3], '') end
return 1
