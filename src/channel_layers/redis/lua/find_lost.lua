-- Find events that are neither queued nor claimed by a live slot.
-- KEYS: 1 slots, 2 processes, 3... queues
-- ARGV: 1 what names of claim lists begin with (in the same hash slot), 2 seconds until a silent process is dead,
--       then pairs of a queue's position and an element
-- Returns the positions of the events that are lost
local time = redis.call('TIME')
local oldest = time[1] + time[2] / 1000000 - ARGV[2]
local alive, claimed, lost = {}, {}, {}

for _, value in ipairs(redis.call('HVALS', KEYS[2])) do
    local since, owner = struct.unpack('>ds', value)
    if since > oldest then alive[owner] = true end
end
local slots = redis.call('HGETALL', KEYS[1])
for i = 1, #slots, 2 do
    local owner = string.match(slots[i], '^[^.]*')
    if alive[owner] or struct.unpack('>d', slots[i + 1]) > oldest then
        for _, element in ipairs(redis.call('LRANGE', ARGV[1] .. slots[i], 0, -1)) do claimed[element] = true end
    end
end
for i = 3, #ARGV, 2 do
    local element = ARGV[i + 1]
    if not claimed[element] and not redis.call('LPOS', KEYS[2 + ARGV[i]], element) then
        lost[#lost + 1] = (i - 3) / 2
    end
end
return lost
