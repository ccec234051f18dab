"""What is read of a request: its body, and whether somebody still waits for the answer."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from xo_warmig.api.rest.answers import ClientGone, Malformed

MOST_BODY_BYTES: Final = 1024 * 1024
Result = TypeVar("Result")


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; empty without one. Raises Malformed, ClientGone."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BODY_BYTES:
                raise Malformed(f"the body has more than {MOST_BODY_BYTES} bytes", 413)
    except ClientDisconnect:
        raise ClientGone from None
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Malformed("the body is no JSON object") from None


async def while_there(receive: Receive, work: Awaitable[Result]) -> Result:
    """The result of ``work``, which is cancelled when nobody waits for it any more. Raises ClientGone then."""
    working, leaving = asyncio.ensure_future(work), asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await each


async def disconnected(receive: Receive) -> None:
    """Returns when the client has gone; what it sends until then is not wanted."""
    while (await receive())["type"] != "http.disconnect":
        pass
