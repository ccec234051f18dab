"""Slows down guessing: after a wrong password, the same name is refused for a while (XO's ``authentication.throttlingDelay``)."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from xo_warmig.api.xo_errors import OTHER, XoError

DELAY_SECONDS: Final = 2.0


class TooSoon(XoError):
    """An attempt that was not even looked at."""

    def __init__(self) -> None:
        super().__init__(OTHER, "too many attempts to sign in: wait two seconds")


class Throttle:
    """One attempt for a name at a time, and none within ``delay`` seconds of one that failed."""

    def __init__(self, clock: Callable[[], float], delay: float = DELAY_SECONDS) -> None:
        self._clock = clock
        self._delay = delay
        self._failed: dict[str, float] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def attempt(self, name: str) -> AsyncIterator[None]:
        """Raises TooSoon after a failure."""
        self._waiting[name] += 1
        try:
            async with self._turns[name]:
                self._check(name)
                yield
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._turns[name]

    def failed(self, name: str) -> None:
        now = self._clock()
        self._failed = {known: at for known, at in self._failed.items() if now - at < self._delay}
        self._failed[name] = now

    def _check(self, name: str) -> None:
        at = self._failed.get(name)
        if at is not None and self._clock() - at < self._delay:
            raise TooSoon
