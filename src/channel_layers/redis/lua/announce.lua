-- Say that a process is alive, and ring for what waits in the queues it reads: a bell is lost with a reader that
-- was killed between hearing it and taking.
-- KEYS: 1 processes, then for each channel the process reads its queue and its bell
-- ARGV: 1 the process, 2 the layer's own name in it, 3 the encoded announcement, 4 seconds that a promise to keep
--       messages holds, 5... queues in which they are kept
local time = redis.call('TIME')
local stamp = struct.pack('>ds', time[1] + time[2] / 1000000, ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], stamp .. ARGV[3])
for k = 2, #KEYS, 2 do
    if redis.call('EXISTS', KEYS[k]) == 1 and redis.call('EXISTS', KEYS[k + 1]) == 0 then
        redis.call('RPUSH', KEYS[k + 1], '')
    end
end
for i = 5, #ARGV do redis.call('SET', ARGV[i] .. ':kept', '', 'EX', ARGV[4]) end
return 0
