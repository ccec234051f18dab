"""XO's two ways to choose objects: filters as people type them (``type:VM name_label:/^web/``), and patterns, which are objects
themselves (``{"type": "VM", "power_state": {"__or": ["Running", "Paused"]}}``).
"""

from collections.abc import Callable, Mapping
from typing import Any

from xo_warmig.xo.filters.matching import matches
from xo_warmig.xo.filters.nodes import Node
from xo_warmig.xo.filters.parsing import parse
from xo_warmig.xo.filters.patience import Patience
from xo_warmig.xo.filters.patterns import fits

__all__ = ["Node", "Patience", "fits", "matches", "parse", "predicate"]


def predicate(chosen_by: str | Mapping[str, Any] | None, patience: Patience | None = None) -> Callable[[object], bool]:
    """The test that a filter, a pattern, or neither stands for.

    Raises:
        InvalidRequest: BAD_FILTER, the filter cannot be read; by the test too, when ``patience`` ends.
    """
    match chosen_by:
        case None:
            return lambda _: True
        case str():
            node = parse(chosen_by)
            return lambda value: matches(node, value, patience)
    return lambda value: fits(value, chosen_by, patience)
