"""The filter texts of ``get_all_records_where``: ``field "power_state" = "Running" and not (field "is_a_template" = "true")``.

The grammar is that of xapi's database (ocaml/database/db_filter_parse.mly). Values are compared as the text in which xapi stores
them; fields that are sets or maps only equal their empty form, ``()``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from xo_warmig.simulator.failure import XapiFailure

Row: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Row], bool]
Operand: TypeAlias = Callable[[Row], str]

_WORD = re.compile(r"""\s*(?:(?P<word>[A-Za-z]+|[()=])|"(?P<double>[^"]*)"|'(?P<single>[^']*)')""")


def parse(text: str) -> Test:
    """The test that a text stands for. INTERNAL_ERROR when it is none."""
    parser = _Parser(text)
    test = parser.either()
    if parser.words:
        raise parser.error()
    return test


class _Parser:
    """What is left of a text, as (kind, word) pairs; a kind is ``word`` or ``string``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _WORD.match(text, at)
            if match is None:
                raise self.error()
            kind = "word" if match.lastgroup == "word" else "string"
            self.words.append((kind, match[match.lastgroup or "word"]))
            at = match.end()

    def error(self) -> XapiFailure:
        return XapiFailure("INTERNAL_ERROR", f"Db_filter.Expression_error: {self.text!r}")

    def either(self) -> Test:
        left = self.both()
        while self.took("or"):
            left = _or(left, self.both())
        return left

    def both(self) -> Test:
        left = self.single()
        while self.took("and"):
            left = _and(left, self.single())
        return left

    def single(self) -> Test:
        if self.took("not"):
            inner = self.single()
            return lambda row: not inner(row)
        if self.took("("):
            inner = self.either()
            self.need(")")
            return inner
        if self.took("true"):
            return lambda row: True
        if self.took("false"):
            return lambda row: False
        left = self.operand()
        self.need("=")
        right = self.operand()
        return lambda row: left(row) == right(row)

    def operand(self) -> Operand:
        """``field "name"`` or a literal."""
        if self.took("field"):
            name = self.string()
            return lambda row: _stored(self._field(row, name))
        literal = self.string()
        return lambda row: literal

    def _field(self, row: Row, name: str) -> Any:
        # In filters, as in xapi's database, the parts of a name are joined by two underscores.
        name = name.replace("__", "_") if name not in row else name
        if name not in row:
            raise self.error()
        return row[name]

    def string(self) -> str:
        if not self.words or self.words[0][0] != "string":
            raise self.error()
        return self.words.pop(0)[1]

    def took(self, word: str) -> bool:
        if not self.words or self.words[0][0] != "word" or self.words[0][1].lower() != word:
            return False
        del self.words[0]
        return True

    def need(self, word: str) -> None:
        if not self.took(word):
            raise self.error()


def _or(left: Test, right: Test) -> Test:
    return lambda row: left(row) or right(row)


def _and(left: Test, right: Test) -> Test:
    return lambda row: left(row) and right(row)


def _stored(value: Any) -> str:
    """A value as the text in which xapi's database keeps it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "()" if not value else repr(value)
    return str(value)
