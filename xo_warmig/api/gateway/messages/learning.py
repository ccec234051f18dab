"""Pools' passwords learnt from what administrators tell upstream, where the operator wants that.

Nothing is kept unless upstream answered with success and says itself that the caller is an administrator; then it is stored sealed, as
what ``server.add`` stores here.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.gateway.messages.identity import WHO, user_of
from xo_warmig.api.gateway.messages.questions import LegGone, Questions
from xo_warmig.api.server_book import ServerBook
from xo_warmig.errors import WarmigError

log = logging.getLogger(__name__)

LEARNT_FROM: Final = frozenset({"server.add", "server.set"})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pool's server then."""

    host: str
    username: str
    password: str
    label: str = ""
    allow_unauthorized: bool = False


async def learn(method: str, params: Mapping[str, Any], upstream: Questions, book: ServerBook) -> None:
    """After upstream's success. Never raises: the client's call was upstream's, and has succeeded."""
    try:
        user = user_of((await (await upstream.ask(WHO))).result)
        if user is None or not user.is_admin:
            return
        servers = await (await upstream.ask("server.getAll")) if method == "server.set" else None
        told = of_added(params) if servers is None else of_changed(params, servers)
        if told is None:
            return
        await book.learn(**msgspec.structs.asdict(told))
        log.info("the password of server %s was learnt from %s by %s", _host(told.host), method, user.email)
    except LegGone:
        log.warning("nothing was learnt from %s: upstream went away", method)
    except WarmigError as error:
        log.warning("nothing was learnt from %s: %s", method, error)


def of_added(params: Mapping[str, Any]) -> Told | None:
    """From ``server.add``."""
    given = _plain(params)
    return None if _through_proxy(given) else _told(given)


def of_changed(params: Mapping[str, Any], servers: Frame) -> Told | None:
    """From ``server.set`` of a password, and upstream's ``server.getAll`` after it."""
    given = _plain(params)
    listed: Any = [] if servers.result is None else msgspec.json.decode(servers.result)
    named = (
        each for each in listed if isinstance(each, dict) and each.get("id") == given.get("id", given.get("server"))
    )
    server = next(named, None)
    if server is None or "password" not in given or _through_proxy(server):
        return None
    return _told(server | {"password": given["password"]})


def _told(server: Mapping[str, Any]) -> Told | None:
    names = ("host", "username", "password", "label")
    texts = {name: server[name] for name in names if isinstance(server.get(name), str)}
    if not all(texts.get(name) for name in ("host", "username", "password")):
        return None
    return Told(**texts, allow_unauthorized=server.get("allowUnauthorized") is True)


def _through_proxy(server: Mapping[str, Any]) -> bool:
    if not server.get("httpProxy"):
        return False
    log.warning("server %s is not learnt: upstream reaches it through a proxy", _host(str(server.get("host"))))
    return True


def _host(text: str) -> str:
    return text.rpartition("@")[2]


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Without XO's mark of parameters that may be unknown."""
    return {name.removesuffix("?"): value for name, value in params.items()}
