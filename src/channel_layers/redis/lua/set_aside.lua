-- End a claim of a custody and set the message aside.
-- KEYS: 1 the claim list, 2 slots, 3 dead letters
-- ARGV: 1 the custody, 2 the element, 3 the reason, 4 how many dead letters there may be
-- Returns how many others had to go for it
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end
return bury(KEYS[3], tonumber(ARGV[4]), ARGV[2], ARGV[3])
