-- Shared: set an element of a queue aside. Returns how many others had to go for it.
local function bury(dead, limit, element, reason)
    local others = math.max(0, redis.call('XLEN', dead) - limit + 1)
    redis.call('XADD', dead, 'MAXLEN', limit, '*', 'e', element, 'r', reason)
    return others
end
