"""Running until somebody says stop: Ctrl-C, or SIGTERM."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, so that everything that was started is taken down.

    Ctrl-C's own handler is set too: what a script starts in the background begins with SIGINT ignored, and would then hear neither.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: interrupt}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def until_interrupted(stopped: Awaitable[None]) -> None:
    """Return on SIGINT or SIGTERM, or when ``stopped`` is done, whose error is raised."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
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
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
