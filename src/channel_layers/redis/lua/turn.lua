-- Do one step in the order of the messages of one connection.
-- KEYS: 1 the state: next (whose turn it is), leased (until when it is being handled), progress (when something was
--       last handled); 2 the orders that are held, sorted; 3 the messages that are held, by order
-- ARGV: 1 the action: take, end, return, renew, skip, free; 2 the order; 3 '1' if only message 0 comes before others;
--       4 seconds to wait for what is missing; 5 seconds of a lease; 6 seconds that all of it lives;
--       7 how many may be held; 8 for take the message to hold
-- Returns {verdict, seconds to wait as text or '', how many were skipped, messages whose turn it is}
local state, orders, messages = KEYS[1], KEYS[2], KEYS[3]
local action, order, is_slight = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local patience, lease, lifetime, capacity = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local known = redis.call('HMGET', state, 'next', 'leased', 'progress')
local next, leased, progress = tonumber(known[1]) or 0, tonumber(known[2]) or 0, tonumber(known[3]) or 0
local verdict, wait, skipped, released = '', '', 0, {}
local is_leased = leased > now

local function store(field, value)
    redis.call('HSET', state, field, string.format('%.6f', value))
end

local function release(held)
    local message = redis.call('HGET', messages, held)
    if message then
        redis.call('HDEL', messages, held)
        redis.call('ZREM', orders, held)
        released[#released + 1] = message
    end
end

local function release_all()
    for _, held in ipairs(redis.call('ZRANGE', orders, 0, -1)) do release(held) end
end

local function go_on(following)
    redis.call('HSET', state, 'next', string.format('%.0f', following), 'leased', 0)
    store('progress', now)
    if is_slight then release_all() else release(string.format('%.0f', following)) end
end

local function skip()
    local first = is_slight and 1 or tonumber(redis.call('ZRANGE', orders, 0, 0)[1])
    skipped = first - next
    go_on(first)
end

local function hold()
    verdict, wait = 'held', patience
    if redis.call('ZCARD', orders) == 0 then
        progress = math.max(progress, now)
        store('progress', progress)
    end
    redis.call('ZADD', orders, order, ARGV[2])
    redis.call('HSET', messages, ARGV[2], ARGV[8])
    local is_overdue = now - progress >= patience or redis.call('ZCARD', orders) > capacity
    if is_overdue and not is_leased then skip() end
end

if action == 'take' then
    if is_slight and next > 0 then
        verdict = 'now'
    elseif order < next or redis.call('HEXISTS', messages, ARGV[2]) == 1 or (order == next and is_leased) then
        verdict = 'past'
    elseif order == next then
        verdict = 'now'
        store('leased', now + lease)
    else
        hold()
    end
elseif action == 'end' then
    if order == next then go_on(order + 1) end
elseif action == 'return' then
    if order == next then store('leased', 0) end
elseif action == 'renew' then
    if order == next then store('leased', now + lease) end
elseif action == 'skip' then
    if redis.call('ZCARD', orders) > 0 then
        local left = is_leased and patience or progress + patience - now
        if left > 0 then
            wait = left
        else
            skip()
            if redis.call('ZCARD', orders) > 0 then wait = patience end
        end
    end
elseif action == 'free' then
    release_all()
end

for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, lifetime) end
return {verdict, tostring(wait), skipped, released}
