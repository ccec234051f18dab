"""XO 5's pages ask for the REST API below their own mount."""

import re
from typing import Final

from starlette.types import Scope

_MOUNT: Final = re.compile(r"(?:/v5)?(?=/rest/v0(?:/|$))")


def is_below(path: str) -> bool:
    """Whether it is one of the REST API's."""
    return _MOUNT.match(path) is not None


def plain(path: str) -> str:
    """A path of the REST API as it is at the root."""
    match = _MOUNT.match(path)
    return path[match.end() :] if match else path


def unmounted(scope: Scope) -> Scope:
    """As if it were asked at the root."""
    path = plain(scope["path"])
    return {**scope, "path": path, "raw_path": scope["raw_path"][len(scope["path"]) - len(path) :]}
