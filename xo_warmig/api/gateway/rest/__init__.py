"""The REST routes of xo-server in which something of ours appears, or that are ours alone."""
