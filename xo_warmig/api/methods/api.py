"""``api.*``: who is connected."""

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Call, Method, Permission


class ConnectionShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``user_id``: absent before signing in. ``expiration``: of the token, in milliseconds since the epoch; absent after a password."""

    user_ip: str
    user_id: str | UnsetType = UNSET
    expiration: int | UnsetType = UNSET


async def get_connections(call: Call, params: None) -> list[ConnectionShown]:
    return [
        ConnectionShown(
            user_ip=session.address,
            user_id=session.user_id or UNSET,
            expiration=UNSET if session.expires_ms is None else session.expires_ms,
        )
        for session in call.services.hub.sessions()
    ]


METHODS = (
    Method(
        "api.getConnections",
        get_connections,
        Permission.ADMIN,
        "return the connections that stand",
        None,
        list[ConnectionShown],
    ),
)
