"""Our own stream beside a client's: there is one, whatever comes at the same time."""

import asyncio
from typing import Any

import pytest

from xo_warmig.api.gateway.rest.following import Following


class Slow(Following):
    """Its streams end, when they are told to, after a moment."""

    def __init__(self) -> None:
        self.running = 0
        unused: Any = None
        super().__init__(unused, unused)

    async def _run(self, scope: Any, subscription: bytes, tell: Any) -> None:
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            self.running -= 1


async def told(_: bytes) -> None: ...


async def started(following: Following, times: int) -> None:
    await asyncio.gather(*(following.start({}, b"", told) for _ in range(times)))
    await asyncio.sleep(0.05)


async def test_two_subscriptions_at_once_are_one_stream() -> None:
    """Whichever was last."""
    following = Slow()
    for times in (1, 2, 3):
        await started(following, times)
        assert following.running == 1
    await following.stop()
    assert following.running == 0


@pytest.mark.parametrize("before", [1, 0])
async def test_a_stream_that_ends_leaves_nothing(before: int) -> None:
    """Neither when it ends while a subscription takes the place of another."""
    following = Slow()
    await started(following, before)
    subscribing = asyncio.create_task(following.start({}, b"", told))
    await asyncio.sleep(0)
    await following.stop()
    await subscribing
    await asyncio.sleep(0.05)
    assert following.running == 0
