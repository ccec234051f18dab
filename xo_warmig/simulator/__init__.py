"""Pools that pretend, on the real wire: XAPI's calls, disk handlers, events and storage, a process for each pool.

Nothing here is shared with the XAPI client of this project, so that a mistake of one cannot hide behind the same mistake of the other.
"""
