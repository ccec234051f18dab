"""What a filter is made of once it is read. Every node is a test of one value; only ``Property`` and ``Truthy`` go into an object."""

from enum import StrEnum

import msgspec
import regex


class Operator(StrEnum):
    """How a number is compared."""

    MORE = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="


class Anything(msgspec.Struct, frozen=True):
    """The empty filter."""


class And(msgspec.Struct, frozen=True):
    """``a b`` or ``(a b)``."""

    children: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True):
    """``|(a b)``."""

    children: tuple["Node", ...]


class Not(msgspec.Struct, frozen=True):
    """``!a``."""

    child: "Node"


class Comparison(msgspec.Struct, frozen=True):
    """``>3``, which is mostly the test of a property: ``size:>3``."""

    operator: Operator
    bound: int | float


class Property(msgspec.Struct, frozen=True):
    """``name:test``."""

    name: str
    child: "Node"


class Truthy(msgspec.Struct, frozen=True):
    """``name?``."""

    name: str


class Text(msgspec.Struct, frozen=True):
    """``word`` or ``"some words"``: a part of a text, in any case."""

    text: str


class NumberOrText(msgspec.Struct, frozen=True):
    """``32``: that number, or a text with these digits in it."""

    text: str
    number: int | float


class Glob(msgspec.Struct, frozen=True):
    """``we*b``: these parts, in this order, within a line of a text, in any case."""

    parts: tuple[str, ...]


class Expression(msgspec.Struct, frozen=True):
    """``/^we.b/i``: found anywhere in a text."""

    expression: regex.Pattern[str]


Node = Anything | And | Or | Not | Comparison | Property | Truthy | Text | NumberOrText | Glob | Expression
