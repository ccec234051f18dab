"""Choosing among objects by what a user gave, beside the event loop, and not for long: a filter may be a regular expression that never
ends, a pattern may be as large as a frame.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, TypeVar

from xo_warmig.errors import InvalidRequest
from xo_warmig.xo.filters import Patience, predicate

_AT_A_TIME: Final = 2

Filter = str | Mapping[str, Any] | None
Value = TypeVar("Value", bound=Mapping[str, Any])


class Chooser:
    """``seconds``: how long one choice may take. ``close`` it in the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="choosing")

    async def chosen(self, among: Iterable[Value], by: Filter, most: int | None = None) -> list[Value]:
        """Those that fit, in their order, and no more than ``most``. Nobody may change them meanwhile.

        Raises InvalidRequest: BAD_FILTER, it cannot be read, or takes too long.
        """
        if by is None:
            return list(islice(among, most))
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._choose, list(among), by, most)

    def close(self) -> None:
        """What is being chosen ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _choose(self, among: list[Value], by: Filter, most: int | None) -> list[Value]:
        try:
            return list(islice(filter(predicate(by, Patience(self._seconds)), among), most))
        except RecursionError:
            raise InvalidRequest("the filter is nested too deeply", code="BAD_FILTER") from None
