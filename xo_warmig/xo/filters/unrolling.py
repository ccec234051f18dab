"""How large a regular expression becomes: the engine writes the least count of each repetition out, so ``a{1000000000}`` takes all memory
there is. Pure.
"""

import re
from typing import Final

_OUTSIDE: Final = re.compile(r"\\.|\(|\)|\[\^?\]?|\{(\d+)(?:,\d*)?\}", re.DOTALL)
_SET: Final = re.compile(r"(?:\\.|[^\\\]])*+\]?", re.DOTALL)  # after its beginning
_QUANTIFIERS: Final = "*+?"
_MOST_DIGITS: Final = 12  # of a count; one with more is as bad


def unrolled(pattern: str) -> int:
    """The number of its parts, each as often as it has to be there at least. ``pattern`` need not be one that can be read."""
    sizes = _Sizes()
    at = 0
    while found := _OUTSIDE.search(pattern, at):
        sizes.text(pattern[at : found.start()])
        at = found.end()
        match found[0][0]:
            case "(":
                sizes.open()
            case ")":
                sizes.close()
            case "{":
                sizes.repeat(int(found[1][:_MOST_DIGITS]))
            case "[" if not found[0].endswith("]"):
                at = _SET.match(pattern, at).end()  # type: ignore[union-attr]  # it fits anything
                sizes.add(1)
            case _:
                sizes.add(1)
    sizes.text(pattern[at:])
    return sizes.total()


class _Sizes:
    """Of the groups that are open, and of what a count would repeat."""

    def __init__(self) -> None:
        self._open = [0]
        self._last = 0

    def add(self, size: int) -> None:
        self._open[-1] += size
        self._last = size

    def text(self, text: str) -> None:
        """Characters that stand for themselves, or say how often what is before them may be there."""
        self._open[-1] += len(text)
        if text.strip(_QUANTIFIERS):
            self._last = 1

    def open(self) -> None:
        self._open.append(0)

    def close(self) -> None:
        if len(self._open) > 1:
            self.add(1 + self._open.pop())

    def repeat(self, count: int) -> None:
        more = self._last * max(0, count - 1)
        self._open[-1] += more
        self._last += more

    def total(self) -> int:
        return sum(self._open)
