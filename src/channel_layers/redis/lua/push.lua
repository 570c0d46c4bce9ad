-- Append messages and events to one queue, in order.
-- KEYS: 1 the queue, 2 its bell
-- ARGV: 1 how many messages may wait, 2 seconds they may wait, 3 seconds the keys live (0: for ever), 4... elements
-- An element is a letter (m: a message, r: a request, e: an event), the time as a big-endian double, and an encoded
-- envelope. A message gets the server's time. Requests and events are found by their bytes, so they stay as they are;
-- an event is neither refused nor expired: its server bounds it.
-- Returns 0, or {expired, depth, age of the oldest in s as text, positions of what was refused}
local queue, bell = KEYS[1], KEYS[2]
local capacity, expiry, lifetime = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local stamp = struct.pack('>d', now)
local depth = redis.call('LLEN', queue)
local was_empty = depth == 0
local CHUNK = 1000 -- Lua's stack bounds how many arguments a call has
local expired, refused = 0, {}

local function drop_expired()
    while true do
        local head = redis.call('LINDEX', queue, 0)
        if not head or string.byte(head) == 101 or struct.unpack('>d', head, 2) >= now - expiry then return end
        redis.call('LPOP', queue)
        expired, depth = expired + 1, depth - 1
    end
end

local accepted = {}

local function push()
    if #accepted > 0 then redis.call('RPUSH', queue, unpack(accepted)) end
    accepted = {}
end

for i = 4, #ARGV do
    local element = ARGV[i]
    local letter = string.byte(element)
    local is_bounded = letter ~= 101
    if is_bounded and depth >= capacity then
        push() -- what is looked at has to be there
        drop_expired()
    end
    if is_bounded and depth >= capacity then
        refused[#refused + 1] = i - 4
    else
        if letter == 109 then element = 'm' .. stamp .. string.sub(element, 10) end
        accepted[#accepted + 1] = element
        depth = depth + 1
        if #accepted == CHUNK then push() end
    end
end
push()

-- A queue that holds something has its bell rung, or a slot is about to look into it: one that was not empty is told.
if was_empty and depth > 0 and redis.call('EXISTS', bell) == 0 then redis.call('RPUSH', bell, '') end
if lifetime > 0 then
    redis.call('EXPIRE', queue, lifetime)
    redis.call('EXPIRE', bell, lifetime)
end
if expired == 0 and #refused == 0 then return 0 end
local head = redis.call('LINDEX', queue, 0)
local age = head and now - struct.unpack('>d', head, 2) or 0
return {expired, depth, tostring(age), refused}
