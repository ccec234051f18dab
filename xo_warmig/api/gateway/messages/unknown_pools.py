"""A VM or SR that upstream has and no pool of ours: what is missing is the password of its pool, and the error says so."""

from typing import Any

import msgspec

from xo_warmig.api.gateway.messages.questions import LegGone, Questions
from xo_warmig.errors import InvalidRequest, NoSuchObject, WarmigError


async def explained(error: NoSuchObject, upstream: Questions) -> WarmigError:
    """Another error where upstream knows the object; else the same."""
    id = error.evidence.get("id")
    if not isinstance(id, str) or error.evidence.get("type") not in ("VM", "SR"):
        return error
    try:
        found = await _object(id, upstream)
        pool = None if found is None else await _object(str(found.get("$pool")), upstream)
    except LegGone:
        return error
    return error if found is None else _no_connection(error, found, pool or {})


def _no_connection(error: NoSuchObject, found: dict[str, Any], pool: dict[str, Any]) -> InvalidRequest:
    """XO's own words for a VM whose pool is not connected come first, as its pages show nothing but the message."""
    id, name = error.evidence["id"], pool.get("name_label") or found.get("$pool")
    silent = error.evidence.get("notConnected") or []
    remedy = (
        "Add the pool's server with `xo-warmig server add`, or turn gateway.learn_servers on and save the server's password"
        " in Xen Orchestra once more."
    )
    if silent:
        remedy = f"If its server is one of those that are not connected ({', '.join(silent)}), connect that. {remedy}"
    return InvalidRequest(
        f"no connection found for object {id}: xo_warmig has no password for its pool {name}. {remedy}",
        code="POOL_NOT_ADDED",
        evidence={"id": id, "type": error.evidence["type"], "pool": found.get("$pool"), "notConnected": silent},
        remedy=remedy,
    )


async def _object(id: str, upstream: Questions) -> dict[str, Any] | None:
    """Upstream's object of that id."""
    answer = await (await upstream.ask("xo.getAllObjects", filter={"id": id}))
    objects: Any = {} if answer.result is None else msgspec.json.decode(answer.result)
    found = objects.get(id) if isinstance(objects, dict) else None
    return found if isinstance(found, dict) else None
