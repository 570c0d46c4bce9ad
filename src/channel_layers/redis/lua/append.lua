-- Append entries to one inbox, in order, up to the first message that has no room, and keep notes of its connections.
-- KEYS: 1 the stream, 2 gaps, 3 waiting, 4 notes (where there is a note among the entries)
-- ARGV: 1 how many entries may wait, 2 seconds that waiting lives, then for each entry: a letter, the field it is
--       stored in (d: the entry itself, k: the key it is under), the entry or the key, and the group it is of or '';
--       and for each note, behind its entry: n, its field, the note, and seconds that notes live
-- Letters: m a message, which needs room (the first that finds none leaves a mark, w, for the reader);
--          g a group message, which without room is skipped and marked by a gap; j a join; a what is always appended;
--          o what is appended only if the note behind it is kept
-- A note is kept if its version, the digits up to its colon, is greater than that of the note in its place.
-- Returns -1 if there is no such inbox, 0, or {entries handled, depth, age of the oldest in s as text, positions of
-- entries skipped, positions among the notes of those that were not kept}
local stream, gaps, waiting, notes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('EXISTS', stream) == 0 then return -1 end
local capacity = tonumber(ARGV[1])
local depth = redis.call('XLEN', stream)
if depth > capacity then depth = depth - redis.call('EXISTS', waiting) end -- the mark of those that wait is no message
local handled, skipped, noted, outdated, is_crowded = 0, {}, 0, {}, false

local function append(field, value)
    redis.call('XADD', stream, '*', field, value)
    depth = depth + 1
end

local function version(note)
    return note and tonumber(string.match(note, '^(%d+):')) or 0
end

local function keep(field, note, lifetime)
    local kept = redis.call('HGET', notes, field)
    local is_newer = version(note) > version(kept) or note == kept
    if is_newer then
        redis.call('HSET', notes, field, note)
        redis.call('EXPIRE', notes, lifetime)
    else
        outdated[#outdated + 1] = noted
    end
    noted = noted + 1
    return is_newer
end

for i = 3, #ARGV, 4 do
    local letter, group = ARGV[i], ARGV[i + 3]
    if letter == 'n' then
        -- That of an entry with the letter o is kept already.
        if ARGV[i - 4] ~= 'o' then keep(ARGV[i + 1], ARGV[i + 2], group) end
    else
        if letter == 'o' then
            if keep(ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]) then append(ARGV[i + 1], ARGV[i + 2]) end
        elseif depth < capacity or letter == 'a' or letter == 'j' then
            append(ARGV[i + 1], ARGV[i + 2])
            -- A gap marked before this join does not tell the new member of a message skipped after it.
            if letter == 'j' then redis.call('SREM', gaps, group) end
        elseif letter == 'g' then
            if redis.call('SADD', gaps, group) == 1 then append('g', group) end
            skipped[#skipped + 1] = handled
        else
            -- A mark tells the reader, who may have read all there is and not have deleted it yet.
            if redis.call('INCR', waiting) == 1 then redis.call('XADD', stream, '*', 'w', '') end
            redis.call('EXPIRE', waiting, ARGV[2])
            is_crowded = true
            break
        end
        handled = handled + 1
    end
end

if not is_crowded and #skipped == 0 and #outdated == 0 then return 0 end
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local time = redis.call('TIME')
local age = oldest and time[1] + time[2] / 1000000 - string.match(oldest[1], '^%d+') / 1000 or 0
return {handled, depth, tostring(age), skipped, outdated}
