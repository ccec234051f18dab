"""One migration from start to end: phases, steps, what is remembered of it, and who may watch. Pools come through ``replication``."""
