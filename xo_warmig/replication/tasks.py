"""Structured concurrency for effects: things side by side that stop together, and things that are not left half done."""

import asyncio
import contextlib
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from xo_warmig.disks.threads import first_of, settled

Result = TypeVar("Result")

# A cancelled effect is given this long to end by itself, so that its outcome is known; pool calls have deadlines of their own.
PATIENCE_SECONDS = 60.0


async def unbroken(work: Coroutine[Any, Any, Result], *, patience_seconds: float | None = PATIENCE_SECONDS) -> Result:
    """Await ``work`` to its end even when the awaiting task is cancelled meanwhile; the cancellation is raised after that.

    So an effect and the record of its outcome stay together. ``patience_seconds`` bounds the wait after a cancellation, None waits
    as long as it takes.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        await _until_done(task, patience_seconds)
        raise


async def _until_done(task: "asyncio.Task[Any]", patience_seconds: float | None) -> None:
    """Wait for a task whatever else cancels meanwhile, then fetch its outcome so that nothing is reported as never retrieved."""
    now = asyncio.get_running_loop().time
    deadline = math.inf if patience_seconds is None else now() + patience_seconds
    while not task.done() and now() < deadline:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=None if deadline == math.inf else deadline - now())
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)  # what ignores its cancellation is abandoned
    if task.done() and not task.cancelled():
        task.exception()


async def beside(work: Coroutine[Any, Any, Result], companion: Coroutine[Any, Any, None]) -> Result:
    """Await ``work`` while ``companion``, which ends by failing only, runs for as long. A failure of either stops the other."""
    main, other = asyncio.ensure_future(work), asyncio.ensure_future(companion)
    try:
        return await first_of(main, other)
    finally:
        main.cancel()
        other.cancel()
        await settled(main, other)


async def together(*works: Coroutine[Any, Any, Result]) -> list[Result]:
    """All at once; the results in order. The first failure stops the others, and is raised itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as group_of_errors:
        raise first_error(group_of_errors) from None
    return [task.result() for task in tasks]


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that came first, groups within groups unpacked."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
