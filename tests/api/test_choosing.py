"""Filters and patterns of users: beside the event loop, and not for long."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from xo_warmig.api.choosing import Chooser
from xo_warmig.api.settings import ApiSettings
from xo_warmig.errors import InvalidRequest

CATASTROPHIC = "/^(?:(a)|a|aa)+$/"
OBJECTS = [{"id": str(number), "name_label": "a" * 40 + "!"} for number in range(50)]


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """Little patience."""
    return ApiSettings(filter_seconds=1.5)


@pytest.fixture
def chooser() -> Iterator[Chooser]:
    chooser = Chooser(1.5)
    yield chooser
    chooser.close()


async def test_what_fits_is_chosen(chooser: Chooser) -> None:
    """In its order, as many as are wanted, by a filter, a pattern, or none."""
    assert await chooser.chosen(OBJECTS, None, 2) == OBJECTS[:2]
    assert await chooser.chosen(OBJECTS, "id:/^[34]$/") == OBJECTS[3:5]
    assert await chooser.chosen(OBJECTS, {"id": {"__or": ["7", "9", "8"]}}, 2) == OBJECTS[7:9]


async def test_a_catastrophic_expression_does_not_stall_the_loop(chooser: Chooser) -> None:
    """It is given up with the reason, and everything else went on meanwhile."""
    worst, begun = 0.0, time.monotonic()
    choosing = asyncio.create_task(chooser.chosen(OBJECTS, CATASTROPHIC))
    while not choosing.done():
        before = time.monotonic()
        await asyncio.sleep(0.001)
        worst = max(worst, time.monotonic() - before)
    with pytest.raises(InvalidRequest) as refused:
        await choosing
    assert (refused.value.code, refused.value.evidence) == ("BAD_FILTER", {"seconds": 1.5})
    assert 1.4 < time.monotonic() - begun < 10
    assert worst < 1


async def test_a_filter_of_many_terms_is_given_up_too(chooser: Chooser) -> None:
    """Each of them is short."""
    objects = OBJECTS * 1000
    for filter in ("!x " * 30_000, {"__and": [{"__not": {"id": "x"}}] * 30_000}):
        with pytest.raises(InvalidRequest, match=r"longer than 1\.5 s"):
            await chooser.chosen(objects, filter)


async def test_what_is_too_long_or_too_deep_is_refused(chooser: Chooser) -> None:
    """With its own reason."""
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"__not": deep}
    for filter in ("x" * 200_000, deep):
        with pytest.raises(InvalidRequest) as refused:
            await chooser.chosen(OBJECTS, filter)
        assert refused.value.code == "BAD_FILTER"


def test_others_are_served_while_a_filter_never_ends(site: Any, client: Any, new_client: Any) -> None:
    """By the server itself, on the same socket and on others."""
    network = {"PIFs": [], "VIFs": [], "other_config": {}, "tags": [], "name_label": "a" * 60 + "!"}
    null = "OpaqueRef:NULL"
    pool = ("pool", "OpaqueRef:p", {"uuid": "p", "name_label": "p", "master": null, "default_SR": null})
    changes = [pool, *(("network", f"OpaqueRef:{n}", {"uuid": f"n{n}", **network}) for n in range(5))]
    client.call("xo.getAllObjects")
    site.do(lambda: site.records.change("p", changes))
    other = new_client()
    sent = client.send("xo.getAllObjects", {"filter": f"name_label:{CATASTROPHIC}"})
    begun = time.monotonic()
    for one in (client, other):
        assert one.call("system.getVersion") == "0.1"
    assert time.monotonic() - begun < 1
    refused = client.wait(sent)["error"]
    assert (refused["code"], refused["data"]["code"]) == (-32000, "BAD_FILTER")
