-- End all claims of a slot or a custody that is closed.
-- KEYS: 1 slots, 2 dead letters
-- ARGV: 1 what names of claim lists begin with (in the same hash slot), 2 of queues and 3 of bells, 4 how many dead
--       letters there may be, 5 the reason for setting a message aside, 6 the slot
-- Returns {how many were lost, are delivered again, were set aside, dead letters that had to go for those}
local sums = {0, 0, 0, 0}
orphan(ARGV[6], {ARGV[1], ARGV[2], ARGV[3], KEYS[1], KEYS[2], ARGV[4], ARGV[5]}, sums)
return sums
