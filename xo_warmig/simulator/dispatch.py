"""What a call handler gets beside the call's arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.pool import SimPool


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: the pool, its session, the task made for it, the method (``VM.start``) and the host that it came in at."""

    pool: SimPool
    method: str
    session: str = NULL
    task: str = NULL
    host: str = NULL

    def progress(self, fraction: float) -> None:
        """Shows how far the call is, 0 to 1, in its task."""
        self.pool.tasks.set_progress(self.task, fraction)


Handler: TypeAlias = Callable[..., Any]
"""``handler(call, *args)``: arguments as plain values; gives a plain value of the message's result type, None for void."""
