"""Ours in upstream's answers, and every character of upstream's kept."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from xo_warmig.api.choosing import Chooser
from xo_warmig.api.gateway.messages import merging
from xo_warmig.api.gateway.messages.frame import Frame, look
from xo_warmig.api.tasks import of_report
from xo_warmig.model.reports import MigrationReport

RESULT = '{"a":{"id":"a","n":12345678901234567890,"f":1.50,"t":"\\ud83d"},"b" : {"id":"b"}}'


def answer(result: str) -> Frame:
    frame = look(f'{{"id":-9007199254740991,"jsonrpc":"2.0","result":{result}}}'.encode())
    assert isinstance(frame, Frame)
    return frame


@pytest.fixture
def task(report: Callable[..., MigrationReport]) -> dict[str, Any]:
    """Of a migration, as an object."""
    made: dict[str, Any] = msgspec.to_builtins(of_report(report()))
    return made


def test_a_task_stands_behind_upstreams_objects(task: dict[str, Any]) -> None:
    """Their text is untouched, half a surrogate pair and long numbers in it."""
    text = merging.with_tasks(answer(RESULT), [task], None)
    assert text is not None
    assert text.startswith('{"id":-9007199254740991,"jsonrpc":"2.0","result":' + RESULT[:-1] + ",")
    assert json.loads(text)["result"][task["id"]]["type"] == "task"


def test_no_objects_of_upstreams_are_no_comma(task: dict[str, Any]) -> None:
    """The empty answer."""
    text = merging.with_tasks(answer("{ }"), [task], None)
    assert text is not None
    assert list(json.loads(text)["result"]) == [task["id"]]


@pytest.mark.parametrize("result", ["true", "[]", "null", '"{}"'])
def test_what_is_no_map_of_objects_stays(task: dict[str, Any], result: str) -> None:
    """Nothing is guessed."""
    assert merging.with_tasks(answer(result), [task], None) is None


def test_no_limit_is_too_high(task: dict[str, Any]) -> None:
    """JavaScript has numbers that are no length of anything."""
    most = merging.limit({"limit": 1e300})
    assert json.loads(merging.with_tasks(answer('{"a":{}}'), [task], most) or "")["result"].keys() == {"a", task["id"]}


@pytest.mark.parametrize(("most", "count"), [(5, 3), (3, 3), (2, 2), (0, 2)])
def test_a_limit_counts_upstreams_objects_first(task: dict[str, Any], most: int, count: int) -> None:
    """Ours come only where there is room."""
    text = merging.with_tasks(answer(RESULT), [task], most)
    assert text is not None
    assert len(json.loads(text)["result"]) == count


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({}, True),
        ({"filter": {"type": "task"}}, True),
        ({"filter": "type:task status:pending"}, True),
        ({"filter?": {"type": "VM"}}, False),
        ({"filter": "type:VM"}, False),
        ({"filter": "(("}, False),
        ({"filter": "(" * 50_000}, False),
    ],
)
async def test_a_task_is_chosen_as_other_objects_are(
    report: Callable[..., MigrationReport], params: dict[str, Any], fits: bool
) -> None:
    """By filter text or pattern; one that cannot be read is upstream's to refuse."""
    chooser = Chooser(1.0)
    found = await merging.chosen([of_report(report())], params, chooser)
    chooser.close()
    assert [each["type"] for each in found] == (["task"] if fits else [])


def test_methods_of_ours_replace_upstreams_of_the_same_name() -> None:
    """The others stay as they were written, in their order."""
    theirs = '{"vm.start":{"params":{"x":1.50}},"vm.warmMigration":{"params":{}},"z":{}}'
    text = merging.with_methods(answer(theirs), {"vm.warmMigration": {"ours": True}, "warmMigration.plan": {}})
    assert text is not None
    assert text.endswith(
        '{"vm.start":{"params":{"x":1.50}},"vm.warmMigration":{"ours":true},"z":{},"warmMigration.plan":{}}}'
    )


def test_names_of_ours_are_listed_once() -> None:
    """Behind upstream's."""
    text = merging.with_names(answer('["a","vm.warmMigration"]'), ["vm.warmMigration", "warmMigration.plan"])
    assert text is not None
    assert json.loads(text)["result"] == ["a", "vm.warmMigration", "warmMigration.plan"]
    assert merging.with_names(answer("{}"), ["x"]) is None
