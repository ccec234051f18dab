"""How long choosing may take: who types a filter has not always thought of what it costs."""

import time
from collections.abc import Callable

from xo_warmig.errors import InvalidRequest


class Patience:
    """So many seconds from now on."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left_seconds(self) -> float:
        """More than none. Raises InvalidRequest: BAD_FILTER."""
        left = self._end - self._clock()
        if left <= 0:
            raise self.ended()
        return left

    def check(self) -> None:
        """Raises InvalidRequest: BAD_FILTER, when it has ended."""
        self.left_seconds()

    def ended(self) -> InvalidRequest:
        """To be raised."""
        return InvalidRequest(
            f"the filter takes longer than {self._seconds:g} s",
            code="BAD_FILTER",
            evidence={"seconds": self._seconds},
            remedy="Use a simpler one; in a regular expression, leave out repetitions of repetitions.",
        )
