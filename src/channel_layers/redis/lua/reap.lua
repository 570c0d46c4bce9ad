-- Forget dead processes, and end the claims of their slots.
-- KEYS: 1 processes, 2 slots, 3 dead letters
-- ARGV: 1 what names of claim lists begin with (in the same hash slot), 2 of queues and 3 of bells, 4 how many dead
--       letters there may be, 5 the reason for setting a message aside, 6 seconds until a silent process is dead,
--       7 a process that has ended, or ''
-- Returns {{how many were lost, are delivered again, were set aside, dead letters that had to go for those}, what the
-- live processes announced: the time as a double, the layer's name in the process up to a zero byte, the encoded
-- announcement}
local time = redis.call('TIME')
local oldest = time[1] + time[2] / 1000000 - ARGV[6]
local alive, ended, found, sums = {}, {}, {}, {0, 0, 0, 0}
local places = {ARGV[1], ARGV[2], ARGV[3], KEYS[2], KEYS[3], ARGV[4], ARGV[5]}

local processes = redis.call('HGETALL', KEYS[1])
for i = 1, #processes, 2 do
    local since, owner = struct.unpack('>ds', processes[i + 1])
    if processes[i] == ARGV[7] or since <= oldest then
        redis.call('HDEL', KEYS[1], processes[i])
        ended[owner] = true
    else
        alive[owner] = true
        found[#found + 1] = processes[i + 1]
    end
end
local slots = redis.call('HGETALL', KEYS[2])
for i = 1, #slots, 2 do
    local owner = string.match(slots[i], '^[^.]*')
    -- A process that never announces itself may claim too; the time it last took is all there is to go by.
    if not alive[owner] and (ended[owner] or struct.unpack('>d', slots[i + 1]) <= oldest) then
        orphan(slots[i], places, sums)
    end
end
return {sums, found}
