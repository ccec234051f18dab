"""Whether a value passes a filter, as XO decides it (packages/complex-matcher).

Some of its ways surprise and are kept: text finds itself anywhere, whatever its case, in lists and maps too; it never fits a boolean
(``foo?`` is for these); an empty list is truthy; a property that is not there is still tested, so ``foo:!bar`` fits where there is no
foo.
"""

from collections.abc import Callable

import regex
from msgspec import UNSET

from xo_warmig.xo.filters.members import member
from xo_warmig.xo.filters.nodes import (
    And,
    Anything,
    Comparison,
    Expression,
    Glob,
    Node,
    Not,
    NumberOrText,
    Operator,
    Or,
    Property,
    Text,
    Truthy,
)
from xo_warmig.xo.filters.patience import Patience
from xo_warmig.xo.numbers import number


def matches(node: Node, value: object, patience: Patience | None = None) -> bool:
    """Whether ``value``, JSON values throughout, passes. Raises InvalidRequest when ``patience`` ends."""
    if patience is not None:
        patience.check()
    return _passes(node, value, patience)


def _passes(node: Node, value: object, patience: Patience | None) -> bool:
    match node:
        case Property(name, child):
            return value is not None and value is not UNSET and matches(child, member(value, name), patience)
        case And(children):
            return all(matches(child, value, patience) for child in children)
        case Or(children):
            return any(matches(child, value, patience) for child in children)
        case Not(child):
            return not matches(child, value, patience)
        case Text(text):
            return _somewhere(value, _has(text))
        case NumberOrText():
            return _is_or_has(node, value)
        case Glob(parts):
            return _somewhere(value, _has_parts(parts))
        case Expression(expression):
            return _somewhere(value, lambda one: isinstance(one, str) and _is_found(expression, one, patience))
        case Comparison(operator, bound):
            return _compares(_as_number(value), operator, bound)
        case Truthy(name):
            return _is_truthy(member(value, name))
        case Anything():
            return True


def _is_found(expression: regex.Pattern[str], text: str, patience: Patience | None) -> bool:
    """The engine lets other threads go on while it searches."""
    if patience is None:
        return expression.search(text) is not None
    try:
        return expression.search(text, timeout=patience.left_seconds()) is not None
    except TimeoutError:
        raise patience.ended() from None


def _somewhere(value: object, passes: Callable[[object], bool]) -> bool:
    """Whether it, or anything in it, passes."""
    match value:
        case list():
            return any(_somewhere(item, passes) for item in value)
        case dict():
            return any(_somewhere(item, passes) for item in value.values())
    return passes(value)


def _has(text: str) -> Callable[[object], bool]:
    small = text.lower()
    return lambda value: isinstance(value, str) and small in value.lower()


def _has_parts(parts: tuple[str, ...]) -> Callable[[object], bool]:
    """Without a regular expression: many ``*`` would take it very long to see that a text does not fit."""
    small = [part.lower() for part in parts]
    return lambda value: isinstance(value, str) and any(_in_order(small, line) for line in value.lower().split("\n"))


def _in_order(parts: list[str], line: str) -> bool:
    at = 0
    for part in parts:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _is_or_has(node: NumberOrText, value: object) -> bool:
    has = _has(node.text)
    return _somewhere(value, lambda one: has(one) or (not isinstance(one, bool) and one == node.number))


def _as_number(value: object) -> int | float | None:
    """A list is what JavaScript makes of it: nothing, or its only item."""
    if isinstance(value, list):
        return (
            0
            if value in ([], [None])
            else None
            if len(value) > 1 or isinstance(value[0], bool)
            else _as_number(value[0])
        )
    return number(value)


def _compares(value: int | float | None, operator: Operator, bound: int | float) -> bool:
    if value is None:
        return False
    match operator:
        case Operator.MORE:
            return value > bound
        case Operator.AT_LEAST:
            return value >= bound
        case Operator.LESS:
            return value < bound
        case Operator.AT_MOST:
            return value <= bound


def _is_truthy(value: object) -> bool:
    return isinstance(value, list | dict) or bool(value)
