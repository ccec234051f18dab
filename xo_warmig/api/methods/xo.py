"""``xo.*``: the objects of all connected pools."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.api.state_file import to_json
from xo_warmig.model.requests import NonEmpty


class GetAllObjects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``xo.getAllObjects``. ``filter``: XO's filter text, or a pattern; ``ndjson``: to be downloaded, an object on each line."""

    filter: dict[str, Any] | NonEmpty | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    ndjson: bool | UnsetType = UNSET


async def get_all_objects(call: Call, params: GetAllObjects) -> dict[str, Any]:
    tasks = [msgspec.to_builtins(task) for task in call.services.hub.tasks()]
    objects = [*await call.services.collection.objects(), *tasks]
    most = None if params.limit is UNSET else min(len(objects), max(0, int(params.limit)))
    found = await call.services.chooser.chosen(objects, None if params.filter is UNSET else params.filter, most)
    if params.ndjson is True:  # written when somebody comes for it: an offer holds no text
        return call.services.downloads.offer(to_json(each) for each in found)
    return {each["id"]: each for each in found}


METHODS = (
    Method(
        "xo.getAllObjects",
        get_all_objects,
        Permission.USER,
        "return the objects of all connected pools, by id",
        GetAllObjects,
        dict[str, Any],
    ),
)
