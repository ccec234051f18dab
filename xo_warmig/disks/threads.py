"""Threads whose end the event loop waits for. A copy may run for days, so it does not hold a place in a shared pool of workers."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def start(name: str, body: Callable[[], Result]) -> "asyncio.Future[Result]":
    """Run ``body`` in a thread of its own."""
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(body())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return asyncio.wrap_future(outcome)


async def in_thread(name: str, body: Callable[[], Result], *, closing: Callable[[], None] = lambda: None) -> Result:
    """The result of ``body`` in a thread of its own, which has ended when this returns or raises; ``closing`` wakes it where it waits."""
    running = start(name, body)
    try:
        return await first_of(running, running)
    finally:
        closing()
        await settled(running)


async def first_of(wanted: "asyncio.Future[Result]", other: "asyncio.Future[Any]") -> Result:
    """The result of ``wanted``; a failure of ``other`` before that is raised, one that has come already at once."""
    while not wanted.done():
        if other.done():
            other.result()
        waiting = {wanted} if other.done() else {wanted, other}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if other.done():
        other.result()
    return wanted.result()


async def settled(*threads: "asyncio.Future[Any]") -> None:
    """All have ended: what they wait for was closed, so this is soon. A cancellation meanwhile is raised after that."""
    cancelled = False
    while not all(thread.done() for thread in threads):
        try:
            await asyncio.wait(threads)
        except asyncio.CancelledError:
            cancelled = True
    for thread in threads:
        if not thread.cancelled():
            thread.exception()  # whoever wants to know has it; nobody is to be told that it was never looked at
    if cancelled:
        raise asyncio.CancelledError
