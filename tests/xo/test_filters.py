"""Filters as people type them: what they are read as, and what they choose, as XO does it."""

from typing import Any

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.xo.filters import matches, parse, predicate
from xo_warmig.xo.filters.nodes import (
    And,
    Anything,
    Comparison,
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

VM: dict[str, Any] = {
    "type": "VM",
    "name_label": "Web server 1",
    "power_state": "Running",
    "auto_poweron": True,
    "tags": ["prod", "Paris"],
    "snapshots": [],
    "CPUs": {"max": 4, "number": 2},
    "memory": {"size": 4294967296, "static": [0, 4294967296]},
    "addresses": {"0/ipv4/0": "192.0.2.7"},
    "other": {"xo:resource": "x", "path": "a/b\\c", "count": "12"},
    "numbers": [7],
    "startTime": None,
}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", Anything()),
        ("  ", Anything()),
        ("web", Text("web")),
        ('"two words"', Text("two words")),
        (r'"a \"b\" \\ c"', Text(r'a "b" \ c')),
        ('"never closed', Text("never closed")),
        ("åäö", Text("åäö")),
        ("32", NumberOrText("32", 32)),
        ("1.5", NumberOrText("1.5", 1.5)),
        ("1e3", NumberOrText("1e3", 1000)),
        ("0x10", NumberOrText("0x10", 16)),
        ("-", Text("-")),
        ("10.0.0.1", Text("10.0.0.1")),
        ('"32"', Text("32")),
        ("a b", And((Text("a"), Text("b")))),
        ("(a b)", And((Text("a"), Text("b")))),
        ("((a))", Text("a")),
        ("|(a b)", Or((Text("a"), Text("b")))),
        ("| ( a )", Text("a")),
        ("!a", Not(Text("a"))),
        ("! ! a", Not(Not(Text("a")))),
        ("a:b", Property("a", Text("b"))),
        ("a : b", Property("a", Text("b"))),
        ('"a b":c', Property("a b", Text("c"))),
        ("a:b:>=-3", Property("a", Property("b", Comparison(Operator.AT_LEAST, -3)))),
        ("a:|(b c) d?", And((Property("a", Or((Text("b"), Text("c")))), Truthy("d")))),
        ('!"a b"?', Not(Truthy("a b"))),
        ("memory>1", And((Text("memory"), Comparison(Operator.MORE, 1)))),
        ("we*b*", Glob(("we", "b", ""))),
        ("a.b_c-d$:e", Property("a.b_c-d$", Text("e"))),
    ],
)
def test_is_read_as(text: str, node: Node) -> None:
    """One tree for one text; a group of one is that one."""
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("web", True),
        ("WEB", True),
        ("192.0.2", True),
        ("nothing", False),
        ("type:VM power_state:running", True),
        ("type:VM !power_state:running", False),
        ("power_state:|(halted running)", True),
        ("name_label:web*1", True),
        ("name_label:w*x", False),
        ("name_label:*", True),
        ("name_label:1*server", False),
        ("name_label:er*er*1", True),
        ("tags:PARIS", True),
        ("tags:/^par/", False),
        ("tags:/^par/i", True),
        ("tags:length:2", True),
        ("tags:1:paris", True),
        ("tags?", True),
        ("snapshots?", True),
        ("auto_poweron?", True),
        ("auto_poweron:true", False),
        ("startTime?", False),
        ("nothing?", False),
        ("!nothing?", True),
        ("nothing:!x", True),
        ("startTime:x:!y", False),
        ("CPUs:max:4", True),
        ("CPUs:4", True),
        ("CPUs:3", False),
        ("memory:size:>4e9", True),
        ("memory:size:<=4294967295", False),
        ("memory:size:>=4294967296 memory:size:<=4294967296", True),
        ("memory:size:<4294967296", False),
        ("other:count:>11", True),
        ("other:count:12", True),
        ("snapshots:<1", True),
        ("tags:>=0", False),
        ("numbers:<8", True),
        ("other:count:2", True),
        ("name_label:>0", False),
        ("nothing:>=0", False),
        ('other:"xo:resource":x', True),
        (r"other:path:/^a\/b\\c$/", True),
        ("auto_poweron:1", False),
    ],
)
def test_chooses(text: str, fits: bool) -> None:
    """Exactly what XO's own would."""
    assert matches(parse(text), VM) is fits


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        ("a$", "a\n", False),
        ("(?<x>a)\\k<x>", "aa", True),
        ("[[&&|~]", "&", True),
        ("[]", "a", False),
        ("[^]b", "\nb", True),
        ("[$]", "$", True),
        (r"\$", "$", True),
        (r"\e\d", "e1", True),
        ("(?<=a)b", "ab", True),
        ("(?<!a)b", "ab", False),
        (r"[\]]", "]", True),
        (r"^\w\W[\w\d]$", "aé0", True),
        (r"\d", "٣", False),
        ("^a{e}$", "a{e}", True),
        ("^a{,3}$", "a{,3}", True),
        ("^a{2}$", "aa", True),
        ("^a{2,}$", "aaa", True),
        (r"^\pL$", "pL", True),
        ("(?=.*b)^a", "ab", True),
        ("^(?!.*b)", "ab", False),
    ],
)
def test_expressions_are_those_of_javascript(expression: str, text: str, found: bool) -> None:
    """Where Python's differ, or would warn."""
    assert matches(parse(f"/{expression}/"), text) is found


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a:", 2),
        ("(a", 2),
        ("()", 1),
        ("a)", 1),
        ("|a", 1),
        ("!", 1),
        (">x", 2),
        ("/a", 0),
        ("/(/", 3),
        ("/(?i)a/", 7),
        ("/(?<=a/", 7),
        ("a:b,c", 3),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, position: int) -> None:
    """With the place where it stops making sense."""
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    assert caught.value.code == "BAD_FILTER"
    assert caught.value.evidence == {"filter": text, "position": position}


@pytest.mark.parametrize("expression", ["(?i)a", "(?<=a", "(?|a|b)", "a{9,1}"])
def test_what_javascript_refuses_is_refused(expression: str) -> None:
    """Though the engine knows some of it."""
    with pytest.raises(InvalidRequest):
        parse(f"/{expression}/")


def test_a_filter_cannot_exhaust_the_stack() -> None:
    """Nesting has an end."""
    with pytest.raises(InvalidRequest):
        parse("!" * 100_000)


@pytest.mark.parametrize(
    ("expression", "size"),
    [
        ("abc", 3),
        ("a{3}b{2,9}c{0,5}", 6),
        ("(?:ab){3}c", 16),
        ("((a{10}){10}){10}", 1110),
        ("(a+){10}", 30),
        (r"[a{9}\]]{2}[]{5}", 7),
        (r"\[a{4}", 5),
        ("a{99999999999999999999}", 999999999999),
        (")({3}", 0),
    ],
)
def test_what_repetitions_come_to(expression: str, size: int) -> None:
    """The engine writes them out; a set or an escaped character is one part."""
    assert unrolled(expression) == size


@pytest.mark.parametrize(
    "text", ["/a{1000000000}/", "/(?:(?:[ab]{1000}){1000}){1000}/", "|(" + "/a{9999}/ " * 20 + ")", "name:/a{200000,}/"]
)
def test_a_filter_cannot_take_all_memory(text: str) -> None:
    """By counts, in one expression or in many; those that people write are read."""
    with pytest.raises(InvalidRequest, match="fewer repetitions"):
        parse(text)
    assert matches(parse("/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/"), "01234567-89ab-cdef-0123-456789abcdef")


def test_no_number_is_too_long() -> None:
    """To be read, to be a position in a list, and to be compared."""
    assert parse("1" * 5000) == NumberOrText("1" * 5000, float("inf"))
    assert not predicate({"tags": {"1" * 5000: "x"}})(VM)


def test_a_glob_stays_within_a_line() -> None:
    """And sees at once that a long text does not fit."""
    assert matches(parse("a*c"), "x\nAbC\n")
    assert not matches(parse("a*c"), "a\nc")
    assert not matches(parse("a*" * 50 + "b"), "a" * 10_000)


def test_a_predicate_comes_of_any_kind_of_filter() -> None:
    """Text, a pattern, or none."""
    assert predicate("type:VM")(VM)
    assert predicate({"type": "VM", "power_state": {"__or": ["Running", "Paused"]}})(VM)
    assert not predicate({"type": "SR"})(VM)
    assert predicate(None)(VM)
