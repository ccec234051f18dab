"""The methods that are answered here, and how they differ from those of a server that stands alone."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from xo_warmig.api.framing import Request
from xo_warmig.api.method import Call, Method
from xo_warmig.api.methods import METHODS
from xo_warmig.errors import NoSuchObject, WarmigError

Explain = Callable[[NoSuchObject], Awaitable[WarmigError]]

# What upstream's lists of methods must show of ours.
LISTED: Final[Mapping[str, Method]] = MappingProxyType(
    {
        name: method
        for name, method in METHODS.items()
        if name == "vm.warmMigration" or name.startswith("warmMigration.")
    }
)
_ON_OURS_ONLY: Final = ("task.cancel", "task.destroy", "system.methodSignature")


def is_ours(request: Request, is_migration: Callable[[str], bool]) -> bool:
    """Whether a call is answered here: by its method, or because it is about a migration or a method of ours."""
    if request.method in LISTED:
        return True
    given = request.params.values() if isinstance(request.params, dict) else ()
    texts = [value for value in given if isinstance(value, str)]
    match request.method:
        case "task.cancel" | "task.destroy":
            return any(map(is_migration, texts))
        case "system.methodSignature":
            return any(text in LISTED for text in texts)
    return False


def may_be_ours(method: str) -> bool:
    """Whether ``is_ours`` has to be asked."""
    return method in LISTED or method in _ON_OURS_ONLY


def table(explain: Explain) -> Mapping[str, Method]:
    """All of them. ``explain`` makes the error of a call about an object that no pool of ours has."""
    explained = {name: _explained(method, explain) for name, method in LISTED.items()}
    return explained | {name: METHODS[name] for name in _ON_OURS_ONLY}


def _explained(method: Method, explain: Explain) -> Method:
    async def body(call: Call, params: msgspec.Struct | None) -> Any:
        try:
            return await method.body(call, params)
        except NoSuchObject as error:
            raise await explain(error) from error

    return method._replace(body=body)
