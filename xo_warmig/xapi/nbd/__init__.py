"""Disks of a pool read by blocks: where NBD serves them, connections to there, and how all copies share these."""
