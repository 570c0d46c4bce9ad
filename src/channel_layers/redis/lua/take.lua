-- Move messages from the heads of queues into the claim list of a slot, and return what it holds beyond what the
-- slot knows of: also what an earlier call moved whose answer was lost with its connection.
-- KEYS: 1 the slot's claim list, 2 slots, then for each channel its queue and its bell, in the order to serve them
-- ARGV: 1 the slot, 2 how many claims it knows of, 3 how many to move at most, 4 seconds a message may wait,
--       then for each channel how many of it to move at most
-- Returns {{position of a channel, how many of its messages had expired, ...}, elements}
local claims, slots = KEYS[1], KEYS[2]
local left, expiry = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local CHUNK = 1000 -- Lua's stack bounds how many arguments a call has
local expired, moved = {}, false

local function unexpired(elements)
    local fresh = {}
    for _, element in ipairs(elements) do
        if string.byte(element) == 101 or struct.unpack('>d', element, 2) >= now - expiry then
            fresh[#fresh + 1] = element
        end
    end
    return fresh
end

for k = 3, #KEYS, 2 do
    local queue, bell, channel = KEYS[k], KEYS[k + 1], (k - 1) / 2
    local wanted = math.min(tonumber(ARGV[4 + channel]), left)
    local dropped, is_empty = 0, false
    while wanted > 0 and not is_empty do
        local elements = redis.call('LPOP', queue, math.min(wanted, CHUNK))
        if elements then
            local fresh = unexpired(elements)
            dropped = dropped + #elements - #fresh
            if #fresh > 0 then
                redis.call('RPUSH', claims, unpack(fresh))
                wanted, left, moved = wanted - #fresh, left - #fresh, true
            end
        else
            is_empty = true
        end
    end
    if not is_empty then
        if redis.call('EXISTS', queue) == 0 then
            redis.call('DEL', bell)
        elseif redis.call('EXISTS', bell) == 0 then
            redis.call('RPUSH', bell, '') -- what is left needs another slot
        end
    end
    if dropped > 0 then
        expired[#expired + 1] = channel
        expired[#expired + 1] = dropped
    end
end

if moved then redis.call('HSET', slots, ARGV[1], struct.pack('>d', now)) end
return {expired, redis.call('LRANGE', claims, ARGV[2], -1)}
