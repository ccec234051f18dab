"""How soon a server's API answers somebody who calls it again and again."""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from bench.result import Figure
from xo_warmig.client import Client

EACH_SECONDS = 1 / 20

Call = tuple[str, dict[str, Any]]


async def answer_times(client: Client, calls: Sequence[Call], over: "asyncio.Future[Any]") -> list[float]:
    """Milliseconds of each answer, until it is over. A call that is late is counted late: the next one is not put off for it."""
    took: list[float] = []
    due = time.monotonic()
    for method, parameters in cycle(calls):
        if over.done():
            return took
        await client.call(method, **parameters)
        took.append((time.monotonic() - due) * 1000)
        due = max(due + EACH_SECONDS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
    raise AssertionError


def percentile(milliseconds: Sequence[float], percent: int) -> Figure:
    """With the fastest and the slowest beside it."""
    ordered = sorted(milliseconds)
    value = ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
    return Figure(median=value, least=ordered[0], most=ordered[-1], unit="ms", runs=len(ordered))
