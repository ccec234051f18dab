"""``sr.*``: storage repositories (packages/xo-server/src/api/sr.mjs)."""

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.model.requests import NonEmpty


class SrId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A storage repository by its id."""

    id: NonEmpty


class SetSr(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``sr.set``."""

    id: NonEmpty
    name_label: NonEmpty | UnsetType = UNSET
    name_description: str | UnsetType = UNSET


async def scan(call: Call, params: SrId) -> None:
    await call.services.orders.srs.scan(params.id)


async def set_(call: Call, params: SetSr) -> None:
    await call.services.orders.srs.rename(
        params.id, name_label=params.name_label, name_description=params.name_description
    )


METHODS = (
    Method("sr.scan", scan, Permission.ADMIN, "let a pool look what is on a storage repository", SrId),
    Method("sr.set", set_, Permission.ADMIN, "change a storage repository's names", SetSr),
)
