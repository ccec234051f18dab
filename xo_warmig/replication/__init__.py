"""One pass over a VM's disks: plan it, run it, judge it; when to cut over; what to check before.

Owns the interfaces it needs from pools.
"""
