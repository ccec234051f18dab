"""Calls that were passed on and whose answers matter: which they are, and what is remembered of them until upstream answers."""

from typing import Final, NamedTuple

from xo_warmig.api.framing import Request
from xo_warmig.api.gateway.messages.frame import Frame, Key
from xo_warmig.api.gateway.messages.identity import SIGN_INS, SIGN_OUT
from xo_warmig.api.gateway.messages.learning import LEARNT_FROM

OBJECTS: Final = "xo.getAllObjects"
METHODS_INFO: Final = "system.getMethodsInfo"
METHOD_NAMES: Final = "system.listMethods"
_ALWAYS: Final = SIGN_INS | {SIGN_OUT, OBJECTS, METHODS_INFO, METHOD_NAMES}


class Watch(NamedTuple):
    """``request`` may hold a password: it goes as soon as the answer comes, and is never written anywhere."""

    request: Request
    size_bytes: int


class Watches:
    """Those of one connection, by the ids of their requests."""

    def __init__(self, *, learns: bool) -> None:
        self._methods = _ALWAYS | LEARNT_FROM if learns else _ALWAYS
        self._open: dict[Key, Watch] = {}

    def wants(self, method: str) -> bool:
        return method in self._methods

    @property
    def waiting(self) -> bool:
        """Whether frames from upstream have to be looked at."""
        return bool(self._open)

    def put(self, key: Key, watch: Watch) -> Watch | None:
        """An older one of the same id is given up, and returned."""
        given_up, self._open[key] = self._open.get(key), watch
        return given_up

    def take(self, answer: Frame) -> Watch | None:
        """The one that this is the answer to."""
        if answer.key is None or not answer.is_answer:
            return None
        return self._open.pop(answer.key, None)
