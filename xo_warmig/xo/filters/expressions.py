"""Regular expressions as JavaScript reads them, for an engine that can be told when to give up (PyPI's ``regex``).

Python's own cannot, and holds its lock while it searches: ``(a|a)+$`` would stop a whole server for hours.
"""

import re
from typing import Final

import regex

# What the engine would refuse or read otherwise; what matches none of these is the same in both.
_OUTSIDE: Final = re.compile(r"\\k<\w+>|\\.|\(\?<(?![=!])|\(\?(?![:=!<])|\[\^?\]?|\$|\{(?!\d+(?:,\d*)?\})", re.DOTALL)
_INSIDE: Final = re.compile(r"\\.|\]|[\[&|~]|(?<=-)-", re.DOTALL)
# Letters and digits of other scripts are none of these in JavaScript.
_ASCII: Final = {"\\d": "0-9", "\\w": "A-Za-z0-9_"}
_KNOWN_ESCAPES: Final = frozenset("bBdDwWsSfnrtvxu")


def expression_of(pattern: str, *, ignore_case: bool) -> regex.Pattern[str]:
    """Raises ``regex.error``."""
    parts, at, inside = [], 0, False
    while found := (_INSIDE if inside else _OUTSIDE).search(pattern, at):
        parts += [pattern[at : found.start()], _within_a_set(found[0]) if inside else _translated(found[0])]
        inside = found[0] != "]" if inside else found[0] in ("[", "[^")
        at = found.end()
    flags = regex.V0 | (regex.IGNORECASE if ignore_case else 0)
    return regex.compile("".join([*parts, pattern[at:]]), flags, cache_pattern=False)  # its cache knows no bytes


def _translated(found: str) -> str:
    match found:
        case "$":
            return r"\Z"  # Python's $ also stands before a last line feed
        case "(?<":
            return "(?P<"
        case "(?":
            raise regex.error("invalid group")
        case "{":
            return r"\{"  # no count of anything, so it stands for itself
        case "[]":
            return "(?!)"
        case "[^]":
            return "(?s:.)"
    if found.startswith("\\k<"):
        return f"(?P={found[3:-1]})"
    if found.lower() in _ASCII:
        return f"[{'^' if found.isupper() else ''}{_ASCII[found.lower()]}]"
    return _escape(found)


def _within_a_set(found: str) -> str:
    if found == "]":
        return found
    return _ASCII.get(found) or (_escape(found) if found[0] == "\\" else "\\" + found)


def _escape(found: str) -> str:
    """JavaScript takes a letter that means nothing for itself."""
    if found[0] != "\\" or not found[1].isalpha() or found[1] in _KNOWN_ESCAPES:
        return found
    return found[1]
