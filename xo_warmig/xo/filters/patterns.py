"""Whether a value fits a pattern, as XO decides it (packages/value-matcher)."""

from typing import Any

from msgspec import UNSET

from xo_warmig.xo.filters.members import member
from xo_warmig.xo.filters.patience import Patience


def fits(value: Any, pattern: Any, patience: Patience | None = None) -> bool:
    """Partial and deep: members of objects, items of lists, and ``__and``, ``__or``, ``__not``, each alone in its object.

    Raises InvalidRequest when ``patience`` ends.
    """
    if patience is not None:
        patience.check()
    match pattern:
        case {"__and": list(parts)} if len(pattern) == 1:
            return all(fits(value, part, patience) for part in parts)
        case {"__or": list(parts)} if len(pattern) == 1:
            return any(fits(value, part, patience) for part in parts)
        case {"__not": part} if len(pattern) == 1:
            return not fits(value, part, patience)
        case dict():
            return isinstance(value, dict | list) and all(
                (found := member(value, key)) is not UNSET and fits(found, item, patience)
                for key, item in pattern.items()
            )
        case list():
            return isinstance(value, list) and all(any(fits(one, item, patience) for one in value) for item in pattern)
    # True is no 1 in JSON.
    return isinstance(pattern, bool) is isinstance(value, bool) and bool(value == pattern)
