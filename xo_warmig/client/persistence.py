"""Trying again when a connection is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypedDict, TypeVar, Unpack

from xo_warmig.client.connection import Client
from xo_warmig.client.failures import ConnectionLost
from xo_warmig.client.opening import connect

PATIENCE_SECONDS: Final = 600.0  # a host that restarts, with its toolstack, is back by then
_FIRST_PAUSE_SECONDS: Final = 0.2
_MOST_PAUSE_SECONDS: Final = 5.0
_LASTING_SECONDS: Final = 10.0  # a connection that held for this long was a real one
_PASSING = ("CONNECTION_LOST", "SERVER_UNREACHABLE")  # of ConnectionLost, what may be over when it is tried again

Result = TypeVar("Result")


class Connecting(TypedDict, total=False):
    """What ``connect`` takes beside the URL."""

    token: str | None
    email: str | None
    password: str | None
    otp: str | Callable[[], str] | None
    ca_file: str | None
    objects: bool


async def persistently(
    use: Callable[[Client], Awaitable[Result]],
    url: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    lost: Callable[[ConnectionLost], None] = lambda error: None,
    **connecting: Unpack[Connecting],
) -> Result:
    """What ``use`` returns; it is called again with a new connection, signed in anew, each time one is lost, as by the server's restart.

    For what may be asked twice. ``vm.warmMigration`` may: the second call joins the migration that the first one started, and once it
    has succeeded gives the same answer::

        target = await persistently(lambda client: client.call("vm.warmMigration", **parameters), url, token=token)

    One that failed in between is tried again by it; to learn of the first one's end instead, remember the id that
    ``warmMigration.start`` gave. So may following what happens: what was told while nobody was connected is asked for first::

        async def watch(client: Client) -> None:
            told = client.notifications()
            show(await client.call("warmMigration.list"))
            async for notification in told:
                show(notification)

        await persistently(watch, url, token=token, patience_seconds=math.inf)

    ``connecting`` is for ``connect``. ``lost`` is told of every loss, not of every attempt; patience is counted from the loss, and the
    pauses between attempts grow to 5 s. A server that does not answer the first time is not waited for.

    Raises:
        ConnectionLost: it was away for longer than ``patience_seconds``. Whatever ``use`` raises.
    """
    now = asyncio.get_running_loop().time
    lost_at = signed_in_at = None
    pause_seconds = _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with connect(url, **connecting) as client:
                signed_in_at = now()
                return await use(client)
        except ConnectionLost as error:
            if signed_in_at is None or error.code not in _PASSING:
                raise
            # A server that takes every connection and drops it at once must not be asked for ever.
            if lost_at is None or (signed_in_at > lost_at and now() - signed_in_at >= _LASTING_SECONDS):
                lost_at, pause_seconds = now(), _FIRST_PAUSE_SECONDS
                lost(error)
            if now() + pause_seconds - lost_at > patience_seconds:
                raise
        await asyncio.sleep(
            pause_seconds * random.uniform(0.8, 1.0)
        )  # clients of one server do not come back all at once
        pause_seconds = min(2 * pause_seconds, _MOST_PAUSE_SECONDS)
