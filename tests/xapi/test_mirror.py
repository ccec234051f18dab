"""A mirror at a pool that answers as it is told: what it asks, and when it asks again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from xo_warmig.errors import PoolUnreachable
from xo_warmig.model.servers import ServerStatus
from xo_warmig.xapi import failures, mirror
from xo_warmig.xapi.mirror import Mirror
from xo_warmig.xapi.mirrored import CLASSES, Change
from xo_warmig.xapi.mirrors import Mirrors

Answer = dict[str, Any] | Exception


def events(*told: tuple[str, str, str], token: str = "1", **counts: int) -> dict[str, Any]:
    """An answer: (operation, class, reference), the record of which is its reference."""
    made = [
        {"class": cls.lower(), "operation": operation, "ref": ref}
        | ({} if operation == "del" else {"snapshot": {"uuid": ref}})
        for operation, cls, ref in told
    ]
    return {"events": made, "token": token, "valid_ref_counts": counts}


class Pool:
    """Fits ``mirror.Source``. Answers in order what it is given, and then not any more."""

    def __init__(self) -> None:
        self.session = "s1"
        self.answers: list[Answer] = []
        self.asked: list[tuple[Any, ...]] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.answered = asyncio.Event()

    async def wait(self, method: str, *arguments: Any) -> Any:
        assert method == "event.from"
        self.asked.append(arguments)
        while not self.answers:
            await asyncio.sleep(0.001)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def call(self, method: str, *arguments: Any) -> Any:
        if method.split(".")[0] not in self.records:
            raise refusal("MESSAGE_METHOD_UNKNOWN")
        return self.records[method.split(".")[0]]

    @property
    def tokens(self) -> list[str]:
        return [token for _, token, _ in self.asked]

    def succeed(self) -> None:
        """As ``Server`` does when the pool answers it."""
        answered, self.answered = self.answered, asyncio.Event()
        answered.set()


def refusal(code: str) -> Exception:
    return failures.from_details([code], call="event.from", pool="p")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    for name in ("REST_SECONDS", "POLL_SECONDS", "ANEW_SECONDS"):
        monkeypatch.setattr(mirror, name, 0.001)
    return Pool()


@pytest.fixture
def told() -> list[Change]:
    return []


@pytest.fixture
async def made(pool: Pool, told: list[Change]) -> AsyncIterator[Mirror]:
    found = Mirror("p", pool, lambda: pool.answered, told.extend)
    yield found
    found.end()
    await found.ended()


def refs(told: list[Change]) -> list[tuple[str, bool]]:
    """(reference, whether it is there) of each change."""
    return [(change.ref, change.record is not None) for change in told]


async def test_everything_comes_first_and_then_what_changes(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """Each question goes on from the token of the last answer, and may be held back for a minute."""
    pool.answers = [events(("add", "VM", "a"), token="1"), events(("del", "VM", "a"), ("add", "VM", "b"), token="2")]
    await made.asked.wait()
    await eventually(lambda: len(pool.asked) == 3)
    assert refs(told) == [("a", True), ("a", False), ("b", True)]
    assert made.state["VM"] == {"b": {"uuid": "b"}}
    assert pool.asked == [(list(CLASSES), token, 60.0) for token in ("", "1", "2")]


@pytest.mark.parametrize("lost", ["EVENTS_LOST", "session"])
async def test_what_may_have_been_missed_is_read_anew(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any], lost: str
) -> None:
    """Events were lost, or the session is another: the difference is told."""
    pool.answers = [events(("add", "VM", "a"), ("add", "VM", "b"), token="1")]
    await eventually(lambda: pool.tokens == ["", "1"])
    told.clear()
    if lost == "session":
        pool.session = "s2"
        pool.answers = [events(token="2"), events(("add", "VM", "b"), ("add", "VM", "c"), token="3")]
    else:
        pool.answers = [refusal(lost), events(("add", "VM", "b"), ("add", "VM", "c"), token="3")]
    await eventually(lambda: pool.tokens == ["", "1", "", "3"])
    assert refs(told) == [("c", True), ("a", False)]


async def test_a_pool_that_is_away_keeps_its_records(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """Nothing is asked until the pool answers others again; in the same session the mirror goes on where it was."""
    pool.answers = [events(("add", "VM", "a"), token="1"), PoolUnreachable("gone")]
    await eventually(lambda: pool.answers == [] and pool.tokens == ["", "1"])
    await asyncio.sleep(0.02)
    assert (pool.tokens, list(made.state["VM"])) == (["", "1"], ["a"])
    pool.succeed()
    await eventually(lambda: pool.tokens == ["", "1", "1"])
    assert refs(told) == [("a", True)]


async def test_a_pool_that_is_away_at_first_is_read_when_it_is_there(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """Who waits for its records does not wait for that. A refusal is no other matter."""
    pool.answers = [refusal("INTERNAL_ERROR")]
    await asyncio.wait_for(made.asked.wait(), 5)
    assert (made.state["VM"], pool.tokens) == ({}, [""])
    pool.answers = [events(("add", "VM", "a"))]
    pool.succeed()
    await eventually(lambda: refs(told) == [("a", True)])


async def test_an_answer_like_none_before_ends_no_mirror(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """It begins anew when the pool answers others."""
    pool.answers = [{"surprise": 1}]
    await asyncio.wait_for(made.asked.wait(), 5)
    pool.answers = [events(("add", "VM", "a"))]
    pool.succeed()
    await eventually(lambda: refs(told) == [("a", True)])


async def test_a_wrong_number_has_that_class_read_again(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """The ends of tasks are not always told. Should it stay wrong, it is not read again and again."""
    pool.answers = [events(("add", "task", "a"), ("add", "VM", "b"), token="1"), events(token="2", task=0, vm=1)]
    pool.answers += [events(token="9"), events(token="3", task=5), events(token="4", task=5)]
    await eventually(lambda: pool.tokens == ["", "1", "", "2", "3", "4"])
    assert pool.asked[2] == (["task"], "", 0.0)
    assert refs(told) == [("b", True), ("a", True), ("a", False)]


async def test_a_release_without_events_is_looked_at_again_and_again(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """Class by class; one that it lacks is empty. Who waits for the first reading finds what was read."""
    pool.records = {"VM": {"a": {"uuid": "a"}}}
    pool.answers = [refusal("MESSAGE_METHOD_UNKNOWN")]
    await made.asked.wait()
    assert refs(told) == [("a", True)]
    pool.records = {"VM": {}, "SR": {"b": {"uuid": "b"}}}
    await eventually(lambda: refs(told) == [("a", True), ("b", True), ("a", False)])
    assert pool.tokens == [""]


async def test_an_ended_mirror_tells_what_is_gone(
    pool: Pool, made: Mirror, told: list[Change], eventually: Callable[..., Any]
) -> None:
    """And asks no more."""
    pool.answers = [events(("add", "VM", "a"), token="1")]
    await eventually(lambda: pool.tokens == ["", "1"])
    assert made.end() == [Change("VM", "a", None)]
    pool.answers = [events(("add", "VM", "b"), token="2")]
    await made.ended()
    assert refs(told) == [("a", True)]


async def test_a_pool_has_one_mirror_and_a_server_has_that_of_the_pool_it_is_connected_to(
    pool: Pool, eventually: Callable[..., Any]
) -> None:
    """A second server takes the pool over from one that lost it; then it is another pool that the second one finds there."""

    def server(name: str) -> Any:
        return SimpleNamespace(
            credentials=SimpleNamespace(id=name),
            status=ServerStatus.CONNECTED,
            pool=SimpleNamespace(uuid="p"),
            connection=pool,
            answered=asyncio.Event(),
        )

    told: list[tuple[str, str, bool]] = []
    one, two = server("one"), server("two")
    mirrors = Mirrors()
    mirrors.subscribe(lambda uuid, changes: told.extend((uuid, *change) for change in refs(changes)))
    pool.answers = [events(("add", "VM", "a"))]
    mirrors.want([one])
    await eventually(lambda: told == [("p", "a", True)])
    mirrors.connected(one)
    pool.answers = [events(("add", "VM", "b"))]
    mirrors.connected(two)
    await eventually(lambda: told[1:] == [("p", "a", False), ("p", "b", True)])
    assert list(await mirrors.records()) == ["p"]
    two.pool = SimpleNamespace(uuid="q")
    pool.answers = [events(("add", "VM", "c"))]
    mirrors.connected(two)
    await eventually(lambda: told[3:] == [("p", "b", False), ("q", "c", True)])
    assert list(await mirrors.records()) == ["q"]
    await mirrors.close()
