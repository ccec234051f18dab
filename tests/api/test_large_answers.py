"""Answers with all objects: how many are made before somebody takes them."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.conftest import PASSWORD
from tests.api.test_limits import RawPeer
from xo_warmig.api.accounts import FIRST_ADMINISTRATOR
from xo_warmig.api.flight import Flight
from xo_warmig.api.framing import parse
from xo_warmig.api.large_answers import Turns
from xo_warmig.api.settings import ApiSettings

MANY = 20


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """Nobody is dropped meanwhile."""
    return ApiSettings(most_large_answers=3, most_large_answers_per_user=2, slow_reader_seconds=60)


@pytest.fixture
def objects(site: Any, client: Any) -> None:
    """More than the kernel takes for a client who does not read."""
    client.call("xo.getAllObjects")
    network = {"uuid": "n", "name_label": "n" * (12 << 20), "PIFs": [], "VIFs": [], "other_config": {}, "tags": []}
    pool = {"uuid": "p", "name_label": "p", "master": "OpaqueRef:NULL", "default_SR": "OpaqueRef:NULL"}
    changes = [("pool", "OpaqueRef:p", pool), ("network", "OpaqueRef:n", network)]
    site.do(lambda: site.records.change("p", changes))


@pytest.fixture
def deaf(site: Any, objects: None) -> Iterator[RawPeer]:
    """Signed in as an administrator; reads nothing after that."""
    peer = RawPeer(site.address)
    peer.send("session.signIn", email=FIRST_ADMINISTRATOR, password=PASSWORD)
    assert b"permission" in peer.socket.recv(4096)
    yield peer
    peer.socket.close()


def test_who_reads_nothing_has_no_more_made(
    site: Any, deaf: RawPeer, new_client: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Other users get theirs meanwhile, and what was asked for beyond that is given up with its client."""
    before, open_before = site.records.asked, site.requests()
    for _ in range(MANY):
        deaf.send("xo.getAllObjects")
    eventually(lambda: site.records.asked == before + 2)
    time.sleep(0.2)
    assert site.records.asked == before + 2
    assert "n" in new_client("reader@example.org").call("xo.getAllObjects")
    assert site.records.asked == before + 3
    deaf.socket.close()
    eventually(lambda: site.requests() == open_before)
    time.sleep(0.1)
    assert site.records.asked <= before + 5  # those whose turn came before the end was seen
    assert "n" in new_client().call("xo.getAllObjects")


def test_who_reads_gets_all(client: Any, objects: None) -> None:
    """One after the other."""
    ids = [client.send("xo.getAllObjects", {"filter": {"type": "pool"}}) for _ in range(MANY)]
    assert all("p" in client.wait(id)["result"] for id in ids)


def test_it_is_alone_in_a_batch() -> None:
    """All answers are one text: many would be too large, and a slow one would keep the turn."""
    flight = Flight(ApiSettings())
    one = {"jsonrpc": "2.0", "id": 1, "method": "xo.getAllObjects", "params": {}}
    assert flight.refusal(parse(json.dumps([one])), 1, signed_in=True) is None
    refused = flight.refusal(parse(json.dumps([one, one | {"method": "vm.warmMigration"}])), 1, signed_in=True)
    assert refused is not None
    assert "in a batch" in refused.message


async def test_turns_are_bounded_by_user_and_in_all() -> None:
    """And nothing is kept of a user who has none."""
    turns, had, ends = Turns(3, 2), list[str](), asyncio.Event()

    async def have(user: str) -> None:
        async with turns.turn(user):
            had.append(user)
            await ends.wait()

    tasks = [asyncio.create_task(have(user)) for user in "aaabbc"]
    await asyncio.sleep(0.01)
    assert had == ["a", "a", "b"]
    tasks[0].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]
    await asyncio.sleep(0.01)
    assert len(had) == 4
    ends.set()
    await asyncio.gather(*tasks[1:])
    assert sorted(had) == ["a", "a", "a", "b", "b", "c"]
    assert turns._users == {}
