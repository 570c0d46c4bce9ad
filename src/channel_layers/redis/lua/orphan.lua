-- Shared: end all claims of a slot. What is to be delivered again goes back to the heads of its queues, or is set aside
-- where that was the last time; the rest is lost.
-- places: {what names of claim lists begin with, of queues, of bells, slots, dead letters, how many of those there may
-- be, the reason for setting a message aside}
-- sums: {how many were lost, are delivered again, were set aside, had to go for those}
-- Of the encoded envelope only the second field is read, by hand: cmsgpack knows no bytes.
local function channel_of(element)
    local size = string.byte(element, 22) or 0
    if size == 217 then return string.sub(element, 24, 23 + (string.byte(element, 23) or 0)) end
    return string.sub(element, 23, 22 + size - 160)
end

local function orphan(slot, places, sums)
    local elements = redis.call('LRANGE', places[1] .. slot, 0, -1)
    for i = #elements, 1, -1 do
        local element = elements[i]
        if string.byte(element) ~= 107 then
            sums[1] = sums[1] + 1
        elseif string.byte(element, 10) >= string.byte(element, 11) then
            sums[3] = sums[3] + 1
            sums[4] = sums[4] + bury(places[5], tonumber(places[6]), element, places[7])
        else
            local channel = channel_of(element)
            local again = string.char(string.byte(element, 10) + 1)
            redis.call('LPUSH', places[2] .. channel, string.sub(element, 1, 9) .. again .. string.sub(element, 11))
            if redis.call('EXISTS', places[3] .. channel) == 0 then redis.call('RPUSH', places[3] .. channel, '') end
            sums[2] = sums[2] + 1
        end
    end
    redis.call('DEL', places[1] .. slot)
    redis.call('HDEL', places[4], slot)
end
