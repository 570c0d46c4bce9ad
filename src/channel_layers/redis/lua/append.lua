-- Append entries to one inbox, in order, up to the first message that has no room.
-- KEYS: 1 the stream, 2 gaps, 3 waiting
-- ARGV: 1 how many entries may wait, 2 seconds that waiting lives, then for each entry: a letter, the field it is
--       stored in (d: the entry itself, k: the key it is under), the entry or the key, and the group it is of or ''
-- Letters: m a message, which needs room; g a group message, which without room is skipped and marked by a gap;
--          j a join; a what is always appended
-- Returns -1 if there is no such inbox, 0, or {handled, depth, age of the oldest in s as text, positions skipped}
local stream, gaps, waiting = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', stream) == 0 then return -1 end
local capacity = tonumber(ARGV[1])
local depth = redis.call('XLEN', stream)
local handled, skipped = 0, {}

local function append(field, value)
    redis.call('XADD', stream, '*', field, value)
    depth = depth + 1
end

for i = 3, #ARGV, 4 do
    local letter, group = ARGV[i], ARGV[i + 3]
    if depth < capacity or letter == 'a' or letter == 'j' then
        append(ARGV[i + 1], ARGV[i + 2])
        -- A gap marked before this join does not tell the new member of a message skipped after it.
        if letter == 'j' then redis.call('SREM', gaps, group) end
    elseif letter == 'g' then
        if redis.call('SADD', gaps, group) == 1 then append('g', group) end
        skipped[#skipped + 1] = handled
    else
        redis.call('INCR', waiting)
        redis.call('EXPIRE', waiting, ARGV[2])
        break
    end
    handled = handled + 1
end

if handled == (#ARGV - 2) / 4 and #skipped == 0 then return 0 end
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local time = redis.call('TIME')
local age = oldest and time[1] + time[2] / 1000000 - string.match(oldest[1], '^%d+') / 1000 or 0
return {handled, depth, tostring(age), skipped}
