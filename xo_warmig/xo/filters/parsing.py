"""Reading XO's filters.

The grammar (packages/complex-matcher), where spaces may stand between terms and after ``!``, ``|``, ``(``, ``:`` and before ``:``::

    filter   = term*                                  all of them
    term     = "(" term+ ")"                          all
             | "|(" term+ ")"                         any
             | "!" term
             | (">" | ">=" | "<" | "<=") number
             | name ":" term
             | name "?"
             | quoted | "/" expression "/" ["i"] | word
    name     = quoted | word without "*"
    word     = letters, digits and any of _ - . $ *
    quoted   = '"' anything, with \\ before " and \\ '"'
"""

import re
from typing import Final

import regex

from xo_warmig.errors import InvalidRequest
from xo_warmig.xo.filters.expressions import expression_of
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
from xo_warmig.xo.filters.unrolling import unrolled
from xo_warmig.xo.numbers import number

_DEEPEST: Final = 100
_LONGEST: Final = 100_000  # characters: some thousands of ids
_LARGEST: Final = 100_000  # parts of all regular expressions together, as the engine has them: 30 MiB
_SPACE: Final = re.compile(r"\s*")
_BEFORE_COLON: Final = re.compile(r"\s*:")
_OPERATOR: Final = re.compile(r"[<>]=?")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)\\?(?:"|\Z)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_EXPRESSION: Final = re.compile(r"/((?:[^/\\]|\\.)*+)/(i?)", re.DOTALL)


def parse(text: str) -> Node:
    """A filter as people type it.

    Raises:
        InvalidRequest: BAD_FILTER, it cannot be read, ``evidence``: the filter and the position of what is wrong; or it is too long.
    """
    if len(text) > _LONGEST:
        raise InvalidRequest(
            f"the filter cannot be read: it has {len(text)} characters, {_LONGEST} at most are allowed",
            code="BAD_FILTER",
            evidence={"characters": len(text)},
            remedy="Ask for more objects than these, or several times.",
        )
    reader = _Reader(text)
    reader.skip(_SPACE)
    terms = []
    while not reader.at_end():
        terms.append(reader.term())
    return _all_of(terms) if terms else Anything()


class _Reader:
    """A text and how far it was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._size = 0

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def term(self) -> Node:
        """One term, and the space after it."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refusal("fewer terms within each other")
        node = self._term()
        self._depth -= 1
        self.skip(_SPACE)
        return node

    def skip(self, what: re.Pattern[str]) -> re.Match[str] | None:
        """Pass over it where it stands here; not further when it does not."""
        found = what.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _term(self) -> Node:
        match self._text[self._at : self._at + 1]:
            case "(":
                return _all_of(self._group())
            case "|":
                self._step()
                terms = self._group()
                return terms[0] if len(terms) == 1 else Or(tuple(terms))
            case "!":
                self._step()
                return Not(self.term())
            case "<" | ">":
                return self._comparison()
            case "/":
                return self._expression()
            case '"':
                text = self._quoted()
                return self._about(text) or Text(text)
        return self._word()

    def _step(self) -> None:
        """Over the character that is here, and the space after it."""
        self._at += 1
        self.skip(_SPACE)

    def _group(self) -> list[Node]:
        if self._text[self._at : self._at + 1] != "(":
            raise self._refusal("'('")
        self._step()
        terms = [self.term()]
        while self._text[self._at : self._at + 1] != ")":
            terms.append(self.term())
        self._at += 1
        return terms

    def _comparison(self) -> Node:
        operator = self.skip(_OPERATOR)
        assert operator is not None, "it starts with one"
        bound = number(word) if (word := self._run()) else None
        if bound is None:
            raise self._refusal("a number")
        return Comparison(Operator(operator[0]), bound)

    def _expression(self) -> Node:
        found = self.skip(_EXPRESSION)
        if found is None:
            raise self._refusal("an expression between two /")
        self._size += unrolled(found[1])
        if self._size > _LARGEST:
            raise self._refusal("smaller regular expressions, with fewer repetitions,")
        try:
            return Expression(expression_of(found[1], ignore_case=bool(found[2])))
        except (regex.error, OverflowError, RecursionError) as error:
            raise self._refusal(f"a regular expression before this ({error})") from None

    def _quoted(self) -> str:
        """Without its quotes; the last one may be missing, as in XO."""
        found = self.skip(_QUOTED)
        assert found is not None, "everything up to the end is within quotes"
        return _ESCAPED.sub(r"\1", found[1])

    def _word(self) -> Node:
        start = self._at
        name = self._run()
        if name and (node := self._about(name)) is not None:
            return node
        self._at = start
        word = self._run("*")
        if not word:
            raise self._refusal("a term")
        if "*" in word:
            return Glob(tuple(word.split("*")))
        value = number(word)
        return Text(word) if value is None else NumberOrText(word, value)

    def _about(self, name: str) -> Node | None:
        """The test of a property, where this name is followed by one."""
        if self.skip(_BEFORE_COLON):
            self.skip(_SPACE)
            return Property(name, self.term())
        if self._text.startswith("?", self._at):
            self._at += 1
            return Truthy(name)
        return None

    def _run(self, more: str = "") -> str:
        """The longest word from here."""
        start = self._at
        while not self.at_end() and (_is_of_a_word(character := self._text[self._at]) or character in more):
            self._at += 1
        return self._text[start : self._at]

    def _refusal(self, wanted: str) -> InvalidRequest:
        return InvalidRequest(
            f"the filter cannot be read: {wanted} expected at position {self._at}",
            code="BAD_FILTER",
            evidence={"filter": self._text, "position": self._at},
            remedy='Put text with other characters than letters, digits, "_", "-", "." and "$" between double quotes.',
        )


def _all_of(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else And(tuple(terms))


def _is_of_a_word(character: str) -> bool:
    """ASCII digits, letters that have a case, and some signs."""
    return character in "0123456789_-.$" or character.upper() != character or character.lower() != character
