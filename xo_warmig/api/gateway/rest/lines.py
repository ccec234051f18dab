"""Two streams of lines as one: one after the other, or side by side as they come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from xo_warmig.api.gateway.rest.merging import Lines

_MOST_WAITING: Final = 16

Pieces = AsyncIterator[bytes]


async def in_turn(first: Pieces, second: Pieces, most: int | None) -> Pieces:
    """All lines of ``first``, then all of ``second``, but no more than ``most``."""
    for body in (first, second):
        async for batch in batches(body):
            taken = batch if most is None else batch[:most]
            most = None if most is None else most - len(taken)
            if taken:
                yield b"".join(taken)
            if most == 0:
                return


async def side_by_side(leading: Pieces, other: Pieces, end: bytes = b"\n") -> Pieces:
    """Whole lines of both, until ``leading`` ends. Raises what ``leading`` raises."""
    queue: asyncio.Queue[list[bytes] | None] = asyncio.Queue(_MOST_WAITING)

    async def follow(body: Pieces, *, leads: bool) -> None:
        try:
            async for batch in batches(body, end):
                if batch:
                    await queue.put(batch)
        finally:
            if leads:
                await queue.put(None)

    following = [asyncio.create_task(follow(leading, leads=True)), asyncio.create_task(follow(other, leads=False))]
    try:
        while (batch := await queue.get()) is not None:
            yield b"".join(batch)
        await following[0]
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def batches(body: Pieces, end: bytes = b"\n") -> AsyncIterator[list[bytes]]:
    """The whole lines that came with each piece, and with the end."""
    lines = Lines(end)
    async for piece in body:
        yield lines.whole(piece)
    yield lines.last()
