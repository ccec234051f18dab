"""What is added to a download that upstream offers: the websocket's side puts it here, the HTTP side takes it when somebody comes.

``GET /api/<token>`` (also below ``/v5``) of a path that is known here is asked of upstream without compression, each piece goes through
``Supplement.passed``, and after the last one ``Supplement.rest`` is sent.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

MOST_SUPPLEMENTS: Final = 100  # the oldest that nobody came for is forgotten, as of our own downloads
_MOUNT: Final = re.compile(r"^/v5(?=/)")


class Supplement:
    """Lines of JSON after upstream's, up to ``most`` in all."""

    def __init__(self, lines: Sequence[str], most: int | None) -> None:
        self._lines = lines
        self._most = most
        self._passed = 0
        self._last = b"\n"

    def passed(self, piece: bytes) -> bytes:
        """A piece of upstream's body, unchanged."""
        if piece:
            self._passed += piece.count(b"\n")
            self._last = piece[-1:]
        return piece

    def rest(self) -> bytes:
        """What comes after upstream's last piece."""
        is_cut = self._last != b"\n"
        room = len(self._lines) if self._most is None else max(0, self._most - self._passed - is_cut)
        lines = self._lines[:room]
        return b"".join([b"\n" if is_cut and lines else b"", *(f"{line}\n".encode() for line in lines)])


class Supplements:
    """By the path of the download; each is taken once, as the download is."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Supplement] = OrderedDict()

    def put(self, path: str, lines: Sequence[str], most: int | None) -> None:
        self._waiting[_plain(path)] = Supplement(lines, most)
        while len(self._waiting) > MOST_SUPPLEMENTS:
            self._waiting.popitem(last=False)

    def take(self, path: str) -> Supplement | None:
        """For the path of a request."""
        return self._waiting.pop(_plain(path), None)


def _plain(path: str) -> str:
    """Pages below /v5 ask for ``/v5/api/<token>``."""
    return _MOUNT.sub("", path)
