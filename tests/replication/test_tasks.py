"""Effects that are not left half done, and things side by side."""

import asyncio

import pytest

from xo_warmig.replication.tasks import together, unbroken


async def test_unbroken_gives_the_result_and_the_error() -> None:
    """Without a cancellation it is an await."""

    async def fail() -> None:
        raise ValueError("no")

    assert await unbroken(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="no"):
        await unbroken(fail())


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_cancelled_effect_ends_before_the_cancellation_goes_on(cancels: int) -> None:
    """However often it is cancelled."""
    done = []

    async def effect() -> None:
        await asyncio.sleep(0.02)
        done.append(True)

    task = asyncio.create_task(unbroken(effect()))
    for _ in range(cancels):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


async def test_an_error_after_a_cancellation_gives_way_to_it() -> None:
    """The cancellation is what was asked for; nothing warns of an error never retrieved."""

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("late")

    task = asyncio.create_task(unbroken(fail()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_patience_ends() -> None:
    """An effect that hangs does not hold the cancellation for ever."""
    task = asyncio.create_task(unbroken(asyncio.Event().wait(), patience_seconds=0.01))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_together_keeps_the_order() -> None:
    """Whoever is first."""
    assert await together(asyncio.sleep(0.01, 1), asyncio.sleep(0, 2)) == [1, 2]


async def test_together_raises_the_first_failure_itself_and_stops_the_rest() -> None:
    """No group of errors reaches the caller."""
    stopped = []

    async def fail() -> None:
        raise ValueError("first")

    async def wait() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    with pytest.raises(ValueError, match="first"):
        await together(fail(), wait())
    assert stopped == [True]
