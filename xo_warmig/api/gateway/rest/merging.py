"""Two answers made one: lists in JSON, and lines of JSON. What upstream wrote is not written anew. Pure."""

from itertools import chain, islice

import msgspec


def joined(ours: bytes, theirs: bytes, most: int | None) -> bytes:
    """Two JSON arrays as one, ours first, of no more than ``most`` items. Raises msgspec.DecodeError: one is none."""
    items = chain.from_iterable(msgspec.json.decode(each, type=list[msgspec.Raw]) for each in (ours, theirs))
    return b"[" + b",".join(bytes(item) for item in islice(items, most)) + b"]"


class Lines:
    """Cuts pieces into whole lines; ``end`` is where one ends."""

    def __init__(self, end: bytes = b"\n") -> None:
        self._end = end
        self._rest = b""

    def whole(self, piece: bytes) -> list[bytes]:
        """The lines that are whole with this piece, each with its end."""
        *lines, self._rest = (self._rest + piece).split(self._end)
        return [line + self._end for line in lines]

    def last(self) -> list[bytes]:
        """After the last piece: what had no end, with one."""
        return [self._rest + self._end] if self._rest else []
