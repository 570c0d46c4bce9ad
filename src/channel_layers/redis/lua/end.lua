-- End claims of a custody.
-- KEYS: 1 its claim list, 2 slots
-- ARGV: 1 the custody, 2... elements
-- Returns 0
for i = 2, #ARGV do redis.call('LREM', KEYS[1], 1, ARGV[i]) end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end
return 0
