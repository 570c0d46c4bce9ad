-- Make sure that an inbox exists, and let it live on.
-- KEYS: 1 the stream, 2 the notes of its connections
-- ARGV: 1 the id to begin with, 2 seconds to live, 3 '1' to leave a mark for the reader if it had to be made
-- Returns 1 if it had to be made
local is_new = redis.call('EXISTS', KEYS[1]) == 0
if is_new then
    redis.call('XADD', KEYS[1], ARGV[1], 'o', '')
    if ARGV[3] ~= '1' then redis.call('XTRIM', KEYS[1], 'MAXLEN', 0) end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return is_new and 1 or 0
