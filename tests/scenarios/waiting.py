"""Waiting for a migration until its report is as wanted, a phase is reached, data was sent, or all is over; each with a deadline.

``of`` is the uuid of a migration or of its source VM; without it the newest migration is looked at.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xo_warmig.client import Client

if TYPE_CHECKING:
    from tests.scenarios.conftest import World

Report = dict[str, Any]

# Nothing more is to be done, unless a person asks for it.
ENDS = {"done", "failed", "cancelled", "awaiting_commit"}


async def until(world: "World", seen: Callable[[Report], bool], of: str = "", seconds: float = 60) -> Report:
    """Its report, once there is one that is as wanted; fails when it ended without."""
    async with asyncio.timeout(seconds):
        while not (reports := await world.reports(of)) or not seen(reports[-1]):
            assert not reports or reports[-1]["finished"] is None, reports[-1]["error"]
            await asyncio.sleep(0.05)
    return reports[-1]


async def until_phase(world: "World", phase: str, of: str = "") -> Report:
    """Its report, in this phase."""
    return await until(world, lambda report: bool(report["phase"] == phase), of)


async def ended(world: "World", of: str = "", seconds: float = 60) -> Report:
    """Its report, once nothing more is to be done."""
    return await until(world, lambda report: report["phase"] in ENDS, of, seconds)


async def copied(world: "World", count_bytes: int = 1, of: str = "") -> Report:
    """Its report, in the middle of the first pass, once so much of it was sent."""

    def seen(report: Report) -> bool:
        assert not report["passes"], "the first pass is over"
        return done_bytes(report) >= count_bytes

    return await until(world, seen, of)


def done_bytes(report: Report) -> int:
    """Of the pass that goes on, if one does."""
    current = report["currentPass"]
    return sum(disk["doneBytes"] for disk in current["disks"]) if current else 0


async def until_connected(client: Client) -> None:
    """To all pools that the server has."""
    async with asyncio.timeout(90):
        while any(server["status"] != "connected" for server in await client.call("server.getAll")):
            await asyncio.sleep(0.02)
