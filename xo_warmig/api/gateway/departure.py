"""Work for a client ends when the client has gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """``work`` to its end, or cancelled when the client has gone. The request's body is thrown away. Raises what ``work`` raises."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
        ends = await asyncio.gather(working, watching, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] == "http.request":
        pass
