"""``server.*``: the pools that are connected."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.errors import InvalidRequest
from xo_warmig.model.encryption import Encryption, Weakness, weaknesses
from xo_warmig.model.requests import NonEmpty
from xo_warmig.model.servers import ServerState, ServerStatus

Fingerprint: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$")]


class AddServer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``server.add``. ``allow_unauthorized``: pin the certificate of the first connection instead of asking for a valid one.

    ``fingerprint``, which XO does not have: SHA-256 of the certificate that ``host`` must show from the first connection on.
    """

    host: NonEmpty
    username: NonEmpty
    password: NonEmpty
    label: NonEmpty | UnsetType = UNSET
    auto_connect: bool = True
    allow_unauthorized: bool = False
    read_only: bool = False
    http_proxy: NonEmpty | UnsetType = UNSET
    fingerprint: Fingerprint | UnsetType = UNSET


class SetServer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``server.set``. A label of null is the pool's own name. What says how to connect is not changed while it is connected."""

    id: NonEmpty
    label: NonEmpty | UnsetType | None = UNSET
    host: NonEmpty | UnsetType = UNSET
    username: NonEmpty | UnsetType = UNSET
    password: NonEmpty | UnsetType = UNSET
    allow_unauthorized: bool | UnsetType = UNSET
    read_only: bool | UnsetType = UNSET
    http_proxy: NonEmpty | UnsetType | None = UNSET


class ServerId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server by its id."""

    id: NonEmpty


class Server(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A server as XO shows it. ``label`` falls back to the pool's name; members that are not known are absent.

    XO has no ``fingerprint`` (SHA-256 of the pinned certificate), ``encryption`` (what was negotiated with the pool) and ``weaknesses``
    (what is weak about that).
    """

    id: str
    host: str
    username: str
    enabled: bool
    allow_unauthorized: bool
    read_only: bool
    status: ServerStatus
    label: str | UnsetType = UNSET
    pool_id: str | UnsetType = UNSET
    master: str | UnsetType = UNSET
    pool_name_label: str | UnsetType = UNSET
    pool_name_description: str | UnsetType = UNSET
    pool_members_addresses: list[str] | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET
    fingerprint: str | UnsetType = UNSET
    encryption: Encryption | UnsetType = UNSET
    weaknesses: list[Weakness] | UnsetType = UNSET


async def get_all(call: Call, params: None) -> list[Server]:
    return [_shown(state) for state in call.services.servers.states()]


async def add(call: Call, params: AddServer) -> str:
    _see_no_proxy(params.http_proxy)
    return await call.services.servers.add(
        host=params.host,
        username=params.username,
        password=params.password,
        label="" if params.label is UNSET else params.label,
        allow_unauthorized=params.allow_unauthorized,
        enabled=params.auto_connect,
        read_only=params.read_only,
        fingerprint=None if params.fingerprint is UNSET else params.fingerprint,
    )


async def set_(call: Call, params: SetServer) -> None:
    _see_no_proxy(params.http_proxy)
    given = {
        name: value
        for name in ("host", "username", "password", "allow_unauthorized", "read_only")
        if (value := getattr(params, name)) is not UNSET
    }
    if params.label is not UNSET:
        given["label"] = params.label or ""
    await call.services.servers.change(params.id, **given)


async def remove(call: Call, params: ServerId) -> None:
    await call.services.servers.remove(params.id)


async def enable(call: Call, params: ServerId) -> None:
    await call.services.servers.enable(params.id)


async def disable(call: Call, params: ServerId) -> None:
    await call.services.servers.disable(params.id)


def _see_no_proxy(proxy: str | UnsetType | None) -> None:
    if isinstance(proxy, str):
        raise InvalidRequest(
            "this server goes to pools directly",
            code="NO_PROXY",
            evidence={"instancePath": "/httpProxy"},
            remedy="leave httpProxy out",
        )


def _shown(state: ServerState) -> Server:
    return Server(
        id=state.id,
        host=state.host,
        username=state.username,
        enabled=state.enabled,
        allow_unauthorized=state.allow_unauthorized,
        read_only=state.read_only,
        status=state.status,
        label=state.label or state.pool_name_label or UNSET,
        pool_id=state.pool_id or UNSET,
        master=state.master or UNSET,
        pool_name_label=state.pool_name_label or UNSET,
        pool_name_description=state.pool_name_description or UNSET,
        pool_members_addresses=state.members or UNSET,
        error=state.error or UNSET,
        fingerprint=state.fingerprint or UNSET,
        encryption=state.encryption or UNSET,
        weaknesses=UNSET if state.encryption is None else weaknesses(state.encryption),
    )


METHODS = (
    Method("server.add", add, Permission.ADMIN, "register a pool, and connect to it in background", AddServer, str),
    Method("server.getAll", get_all, Permission.ADMIN, "return all registered pools", None, list[Server]),
    Method("server.set", set_, Permission.ADMIN, "change a registered pool's address, account, or label", SetServer),
    Method("server.remove", remove, Permission.ADMIN, "disconnect from a pool and forget it", ServerId),
    Method("server.enable", enable, Permission.ADMIN, "connect to a pool", ServerId),
    Method("server.disable", disable, Permission.ADMIN, "disconnect from a pool", ServerId),
)
