"""Running until somebody says stop: Ctrl-C, or SIGTERM."""

import asyncio
import signal
from collections.abc import Awaitable


async def until_interrupted(stopped: Awaitable[None]) -> None:
    """Return on SIGINT or SIGTERM, or when ``stopped`` is done, whose error is raised."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    waiting = asyncio.ensure_future(stopped)
    interruption = asyncio.ensure_future(interrupted.wait())
    try:
        done, _ = await asyncio.wait({waiting, interruption}, return_when=asyncio.FIRST_COMPLETED)
        if waiting in done:
            waiting.result()
    finally:
        for task in (waiting, interruption):
            task.cancel()
        await asyncio.gather(waiting, interruption, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
