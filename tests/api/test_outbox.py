"""What waits to be sent: order, coalescing, bounds."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.api.outbox import EXIT, FULL_BYTES, MOST_EVENTS, Outbox


async def drain(outbox: Outbox) -> list[Any]:
    """Everything that is there."""
    texts = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                texts.append(json.loads(await outbox.next()))
        except TimeoutError:
            return texts


async def test_objects_coalesce() -> None:
    """The latest of each, all in one enter and one exit."""
    outbox = Outbox()
    for step in range(5):
        outbox.put_object("a", {"step": step})
    outbox.put_object("b", {"step": 9})
    outbox.put_object("c", {"step": 1})
    outbox.put_object("c", EXIT)
    assert [message["params"] for message in await drain(outbox)] == [
        {"type": "enter", "items": {"a": {"step": 4}, "b": {"step": 9}}},
        {"type": "exit", "items": {"c": 0}},
    ]


async def test_answers_go_first() -> None:
    """In their order."""
    outbox = Outbox()
    outbox.put_object("a", {})
    outbox.put_answer("1")
    outbox.put_answer("2")
    assert (await drain(outbox))[:2] == [1, 2]


async def test_events_are_kept_and_progress_coalesces(report: Callable[..., Any]) -> None:
    """Each event with the report as it is now; mere progress once."""
    outbox = Outbox()
    outbox.put_migration(report(progress=0.1), {"type": "one"})
    outbox.put_migration(report(progress=0.2), None)
    outbox.put_migration(report(progress=0.3), {"type": "two"})
    outbox.put_migration(report("m2", progress=0.4), None)
    outbox.put_migration(report("m2", progress=0.5), None)
    params = [message["params"] for message in await drain(outbox)]
    assert [(p["report"]["id"], p["report"]["progress"], p["event"]) for p in params] == [
        ("m1", 0.3, {"type": "one"}),
        ("m1", 0.3, {"type": "two"}),
        ("m2", 0.5, None),
    ]


async def test_events_are_bounded(report: Callable[..., Any]) -> None:
    """The oldest go first, and the report of a migration that lost its events is still told."""
    outbox = Outbox()
    outbox.put_migration(report("old"), {"number": -1})
    for number in range(MOST_EVENTS):
        outbox.put_migration(report(), {"number": number})
    params = [message["params"] for message in await drain(outbox)]
    assert [p["event"] and p["event"]["number"] for p in params] == [*range(MOST_EVENTS), None]
    assert params[-1]["report"]["id"] == "old"


async def test_there_is_no_room_while_answers_pile_up() -> None:
    """Until they were taken."""
    outbox = Outbox()
    await outbox.room()
    outbox.put_answer("1" * (FULL_BYTES + 1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await outbox.room()
    await outbox.next()
    await outbox.room()


async def test_an_answer_is_sent_when_the_next_text_is_asked_for() -> None:
    """Not as soon as it is taken."""
    outbox = Outbox()
    await outbox.sent()
    outbox.put_answer("1")
    sent = asyncio.create_task(outbox.sent())
    await outbox.next()
    await asyncio.sleep(0)
    assert not sent.done()
    waiting = asyncio.create_task(outbox.next())
    await sent
    waiting.cancel()
