"""Instructions that the hot paths take, counted by valgrind: counts do not feel how busy a machine is."""
