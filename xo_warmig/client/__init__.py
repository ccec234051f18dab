"""A small client of the API, for scripts and for our own command line: JSON-RPC 2.0 over one websocket, as XO's clients speak it.

::

    import asyncio
    from xo_warmig.client import connect

    async def main() -> None:
        async with connect("http://127.0.0.1:8480", token="...") as client:
            target = await client.call("vm.warmMigration", vm="...", sr="...", startDestinationVm=True, deleteSourceVm=False)
            print(target)

    asyncio.run(main())

``connect`` gives a ``Client`` that is signed in and closed in the end; ``Client.call`` calls any method, ``Client.notifications`` iterates
over what the server tells; ``persistently`` does it all again on a new connection when one is lost. What the calls mean is not known
here: see the schemas. Every error is a ``WarmigError``: the server answered with an error (``CallFailed``) or with something else than was
expected (``UnexpectedAnswer``), or it does not answer (``ConnectionLost``).
"""

from xo_warmig.client.address import websocket_url
from xo_warmig.client.connection import Client
from xo_warmig.client.failures import CallFailed, ConnectionLost, UnexpectedAnswer
from xo_warmig.client.notifications import Notification, Notifications
from xo_warmig.client.opening import connect
from xo_warmig.client.persistence import PATIENCE_SECONDS, persistently

__all__ = [
    "PATIENCE_SECONDS",
    "CallFailed",
    "Client",
    "ConnectionLost",
    "Notification",
    "Notifications",
    "UnexpectedAnswer",
    "connect",
    "persistently",
    "websocket_url",
]
