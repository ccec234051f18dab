"""Time as XAPI writes it: UTC, whole seconds, no hyphens."""

import time


def now() -> str:
    """The present as ``YYYYMMDDTHH:MM:SSZ``."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """Seconds since the epoch in the same form."""
    return time.strftime("%Y%m%dT%H:%M:%SZ", time.gmtime(seconds))
