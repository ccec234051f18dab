"""The lines that a moving migration leaves, and the status below its bars."""

import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from xo_warmig.cli.progress import MigrationProgress
from xo_warmig.model.reports import MigrationReport

Told = Callable[..., list[str]]


@pytest.fixture
def told(report: Callable[..., dict[str, Any]]) -> Told:
    """Shows reports with these changes one after the other; the lines that were printed."""

    def tell(*changes: dict[str, Any]) -> list[str]:
        file = io.StringIO()
        base: dict[str, Any] = {"finished": None, "downtime": None, "passes": [], "progress": 0.5}
        with MigrationProgress(Console(file=file, width=140)) as progress:
            for one in changes:
                progress.show(msgspec.convert(report(**(base | one)), MigrationReport))
        return file.getvalue().splitlines()

    return tell


COPYING = {"phase": "copying", "stage": "copy"}
SYNCING = {"phase": "syncing", "stage": "sync"}
HOLDING = {"phase": "holding", "stage": "sync", "waitingFor": "operator"}


def test_how_a_pass_is_read_is_told_as_it_begins_and_when_it_changes(told: Told) -> None:
    """With the reason; a pass that was read otherwise in the end says so above its line."""

    def disk(device: str, way: str, reason: str) -> dict[str, Any]:
        place = {"disk": f"d-{device}", "targetVdi": None, "nameLabel": "", "device": device, "virtualSizeBytes": 9}
        return place | {"doneBytes": 0, "totalBytes": 9, "bytesPerSecond": 0.0, "way": way, "wayReason": reason}

    def running(number: int, *disks: dict[str, Any]) -> dict[str, Any]:
        current = {"number": number, "kind": "full", "started": 1.0, "remainingSeconds": None, "disks": list(disks)}
        return COPYING | {"currentPass": current}

    both = running(1, disk("0", "nbd", "it serves [it]"), disk("1", "nbd", "it serves [it]"))
    apart = running(2, disk("0", "cbt", "it tracks"), disk("1", "vhd", "it forgot"))
    assert told(both, both, apart, apart) == [
        "  read over NBD: it serves [it]",
        "  disk 0 read over NBD, changed blocks only: it tracks",
        "  disk 1 read from a VHD export: it forgot",
    ]


def test_holding_is_told_once_with_how_to_end_it(told: Told) -> None:
    """Though it goes on with passes in between."""
    assert told(SYNCING, HOLDING, SYNCING, HOLDING, {"phase": "stopping", "stage": "cutover"}) == [
        "• Holding until told to cut over",
        "    xo-warmig cutover m-1  cuts over now",
        "• Shutting the source down",
    ]


def test_a_time_of_cutover_is_told(told: Told) -> None:
    """And how to go before it."""
    first, second = told(HOLDING | {"cutoverTime": 1_790_600_000.0})
    assert first.startswith("• Holding until 2026-09-2")
    assert second == "    xo-warmig cutover m-1  cuts over now"


def test_each_pause_and_going_on(told: Told) -> None:
    """A second pause is told again; the end of a paused one is no going on."""
    paused = COPYING | {"paused": True}
    pause = ["• Paused", "    xo-warmig resume m-1  goes on"]
    assert told(paused, paused, COPYING, paused) == [*pause, "• Going on", *pause]
    assert told(paused, paused | {"phase": "cancelling"}, {"phase": "cancelled"}) == [*pause, "• Cancelling"]


def test_what_a_pool_said_is_text(told: Told) -> None:
    """Each new reason is a line."""
    away = COPYING | {"waitingFor": "pool", "waitingReason": "amd [red] is away"}
    assert told(away, away, COPYING, away, away | {"waitingReason": "amd restarts"}) == [
        "• Waiting for a pool: amd [red] is away",
        "• Waiting for a pool: amd [red] is away",
        "• Waiting for a pool: amd restarts",
    ]


def test_a_decision_is_asked_for(told: Told) -> None:
    """With both ways, and until when."""
    lines = told({"phase": "awaiting_commit", "commitTime": 1_790_600_000.0})
    assert lines[0].startswith("• The target runs; commits at 2026-09-2")
    assert [line.split("  ")[2] for line in lines[1:]] == [
        "xo-warmig commit m-1",
        "xo-warmig rollback m-1 --discard-target-changes",
    ]


def test_interruptions_are_told(told: Told) -> None:
    """Those before the first look, and each one after."""
    assert told(COPYING | {"epoch": 3}, COPYING | {"epoch": 3}, COPYING | {"epoch": 4}) == [
        "• Taken up again 2 times",
        "• Taken up again 3 times",
    ]


def test_the_status_on_a_terminal(report: Callable[..., dict[str, Any]]) -> None:
    """Progress, prediction, and what to type, whatever scrolled away."""
    holding = report(**HOLDING, progress=0.62, predictedDowntimeSeconds=3.2, downtime=None, finished=None)
    file = io.StringIO()
    with MigrationProgress(Console(file=file, width=80, force_terminal=True, color_system=None)) as progress:
        progress.show(msgspec.convert(holding, MigrationReport))
    text = file.getvalue()
    assert "62%  sync  predicted downtime 3.2 s  holding until told to cut over" in text
    assert text.count("xo-warmig cutover m-1") >= 2  # a line, and the status


def test_a_measured_downtime_is_not_predicted_any_more(report: Callable[..., dict[str, Any]]) -> None:
    """While a decision is awaited."""
    decided = msgspec.convert(report(phase="awaiting_commit", predictedDowntimeSeconds=3.2), MigrationReport)
    file = io.StringIO()
    with MigrationProgress(Console(file=file, width=80, force_terminal=True, color_system=None)) as progress:
        progress.show(msgspec.structs.replace(decided, passes=[]))
    assert "predicted" not in file.getvalue()
