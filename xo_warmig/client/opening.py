"""Opening a connection, and signing in on it."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidHandshake, InvalidURI

from xo_warmig.client.address import is_loopback, websocket_url
from xo_warmig.client.connection import Client
from xo_warmig.client.failures import ConnectionLost
from xo_warmig.model.units import MIB

MAX_MESSAGE_BYTES: Final = 100 * MIB
PING_TIMEOUT_SECONDS: Final = 300.0

# The server knows by the first that pools' objects are not to be followed for this client.
_AGENT: Final = "xo_warmig/client"
_AGENT_WITH_OBJECTS: Final = "python xo_warmig/client"


@contextlib.asynccontextmanager
async def connect(
    url: str,
    *,
    token: str | None = None,
    email: str | None = None,
    password: str | None = None,
    otp: str | Callable[[], str] | None = None,
    ca_file: str | None = None,
    objects: bool = False,
) -> AsyncIterator[Client]:
    """A client of the server at ``url`` (as ``http://127.0.0.1:8480``), signed in by token or by email and password; closed in the end.

    ``otp``: the second factor beside a password, for an xo-server that asks for one; a function is called at each sign-in, of which
    ``persistently`` makes more than one. ``ca_file`` is a PEM file to trust instead of the system's authorities. With ``objects``, ``all``
    also tells of the objects of the pools (VMs, hosts, ...), for which the server reads every pool; without, of migrations' tasks only.

    Raises:
        ConnectionLost: it cannot be reached. CallFailed: the credentials are refused (rpc_code 3).
    """
    credentials = _credentials(token, email, password, otp)
    agent = _AGENT_WITH_OBJECTS if objects else _AGENT
    async with Client(await _open(url, ca_file, agent), url) as client:
        client.user = await client.call("session.signIn", **credentials)
        yield client


def _credentials(
    token: str | None, email: str | None, password: str | None, otp: str | Callable[[], str] | None
) -> dict[str, Any]:
    """The parameters of ``session.signIn``."""
    if (token is None) == (email is None or password is None) or (token is not None and otp is not None):
        raise TypeError("sign in with a token, or with an email and a password, and an otp beside these only")
    if token is not None:
        return {"token": token}
    second = otp() if callable(otp) else otp
    return {"email": email, "password": password} | ({} if second is None else {"otp": second})


async def _open(url: str, ca_file: str | None, agent: str) -> ClientConnection:
    address = websocket_url(url)
    context = ssl.create_default_context(cafile=ca_file) if address.startswith("wss:") else None
    try:
        loopback = is_loopback(urlsplit(address).hostname or "")
        return await open_websocket(
            address,
            ssl=context,
            max_size=MAX_MESSAGE_BYTES,
            ping_timeout=PING_TIMEOUT_SECONDS,
            user_agent_header=agent,
            proxy=None if loopback else True,
        )
    except (OSError, InvalidURI, InvalidHandshake, ValueError) as error:
        raise ConnectionLost(
            f"no server answers at {url}: {error}",
            code="SERVER_UNREACHABLE",
            evidence={"url": url},
            remedy="Start it with `xo-warmig serve`, or give its URL with --url.",
        ) from error
