"""list, show and watch: what they call and print."""

import io
import json
from typing import Any

import msgspec
import pytest
from rich.console import Console

from xo_warmig.cli.tables import migrations_table
from xo_warmig.model.reports import MigrationReport


def test_show_tells_how_passes_were_read_and_why(canned: Any, run: Any, report: Any) -> None:
    """One line for passes that were read alike; where disks differ, each of the ways with its disks."""

    def read(number: int, *disks: tuple[str, str, str]) -> dict[str, Any]:
        told = [
            {"disk": disk, "verdict": "complete", "readBytes": 1, "writtenBytes": 1, "seconds": 1.0}
            | {"transferSeconds": 1.0, "way": way, "wayReason": reason}
            for disk, way, reason in disks
        ]
        a_pass: dict[str, Any] = report()["passes"][0]
        return a_pass | {"number": number, "disks": told}

    nbd, cbt = ("nbd", "it serves [it]"), ("cbt", "it tracks")
    canned.answers["warmMigration.get"] = report(
        passes=[
            read(1, ("d-1", *nbd), ("d-2", *nbd)),
            read(2, ("d-1", *cbt), ("d-2", "vhd", "it forgot")),
            *(read(number, ("d-1", *cbt), ("d-2", *cbt)) for number in (3, 4)),
        ]
    )
    lines = [line for line in run("show", "m-1").stdout.splitlines() if ": read " in line or " read " in line]
    assert lines == [
        "Pass 1: read over NBD: it serves [it]",
        "Pass 2: disk d-1 read over NBD, changed blocks only: it tracks",
        "Pass 2: disk d-2 read from a VHD export: it forgot",
        "Passes 3 to 4: read over NBD, changed blocks only: it tracks",
    ]


def test_list_shows_a_row_per_migration(canned: Any, run: Any, report: Any) -> None:
    """Names are data: brackets in a VM's name are printed, not interpreted."""
    canned.answers["warmMigration.list"] = [report(), report(id="m-2", phase="failed")]
    result = run("list")
    assert result.exit_code == 0
    assert "web-1 [red]" in result.stdout
    assert "m-2" in result.stdout
    assert "failed" in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_list_has_whole_ids_at_any_width(report: Any, width: int) -> None:
    """Other commands ask for them; what stands still says so."""
    ids = ["8539ec6c-9f72-58a4-fa2b-05f867190a3c", "0747a9dc-a36c-6461-bb84-72efa03b0760"]
    shown = [
        report(
            id=ids[0],
            vmName="a name that is longer than the column is wide",
            phase="copying",
            paused=True,
            progress=0.5,
        ),
        report(id=ids[1], phase="copying", waitingFor="pool", waitingReason="away"),
    ]
    console = Console(width=width, file=io.StringIO())
    console.print(migrations_table(msgspec.convert(shown, list[MigrationReport]), width=width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for part in (*ids, "50%, paused", "waits for a", "2.5 s", "Started"):
        assert part in text, part


def test_list_without_migrations_says_so(canned: Any, run: Any) -> None:
    """An empty table would look like a mistake."""
    canned.answers["warmMigration.list"] = []
    assert "No migrations" in run("list").stdout


def test_list_as_json_is_the_api_s_answer(canned: Any, run: Any, report: Any) -> None:
    """One JSON value, nothing else."""
    canned.answers["warmMigration.list"] = [report()]
    assert json.loads(run("list", "--json").stdout) == [report()]


def test_show_has_passes_downtime_warnings_and_error(canned: Any, run: Any, report: Any) -> None:
    """All that a report holds."""
    warning = {"code": "SNAPSHOTS_STAY", "message": "two snapshots stay", "evidence": {}, "remedy": "Export them."}
    error = {"code": "POOL_UNREACHABLE", "message": "amd is away", "remedy": "Start it."}
    canned.answers["warmMigration.get"] = report(warnings=[warning], error=error)
    result = run("show", "m-1")
    assert canned.calls == [("warmMigration.get", {"id": "m-1"})]
    for part in (
        "100.0 MiB",
        "2.50 s",
        "shutdown 1.00",
        "SNAPSHOTS_STAY",
        "→ Export them.",
        "amd is away",
        "Start it.",
    ):
        assert part in result.stdout, part


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"phase": "copying", "paused": True}, ["paused", "xo-warmig resume m-1"]),
        (
            {"phase": "holding", "predictedDowntimeSeconds": 3.2},
            ["holding until told to cut over", "xo-warmig cutover m-1", "3.2 s of downtime"],
        ),
        ({"phase": "holding", "cutoverTime": 1_790_600_000.0}, ["holding until 2026-09-2", "xo-warmig cutover m-1"]),
        (
            {"phase": "awaiting_commit"},
            ["commit or rollback?", "xo-warmig commit m-1", "xo-warmig rollback m-1 --discard-target-changes"],
        ),
        ({"phase": "awaiting_commit", "commitTime": 1_790_600_000.0}, ["commits at 2026-09-2", "xo-warmig commit m-1"]),
        (
            {"phase": "copying", "waitingFor": "pool", "waitingReason": "amd [red] is away"},
            ["waiting for a pool: amd [red] is away"],
        ),
        ({"phase": "copying", "epoch": 3}, ["taken up again 2 times"]),
        ({"phase": "failed", "keptUntil": 1_790_600_000.0}, ["what was copied is kept until 2026-09-2"]),
    ],
)
def test_show_tells_where_it_stands(
    canned: Any, run: Any, report: Any, changes: dict[str, Any], parts: list[str]
) -> None:
    """What it waits for, and what to type."""
    canned.answers["warmMigration.get"] = report(downtime=None, **changes)
    text = run("show", "m-1").stdout
    for part in parts:
        assert part in text, part


def test_show_of_one_that_is_done_says_nothing_of_waiting(canned: Any, run: Any, report: Any) -> None:
    """Nor of interruptions that were not."""
    canned.answers["warmMigration.get"] = report(paused=True, waitingFor="pool")
    text = run("show", "m-1").stdout
    for word in ("paused", "waiting", "taken up", "kept until", "Now"):
        assert word not in text, word


def test_watch_goes_on_when_the_server_restarts(canned: Any, run: Any, report: Any) -> None:
    """On the next connection."""
    reports = iter([report(phase="copying", progress=0.5), report()])
    canned.answers["warmMigration.get"] = lambda _: next(reports)
    canned.notifications["warmMigration.get"] = [None]
    result = run("watch", "m-1", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["progress"] for line in result.stdout.splitlines()] == [0.5, 1.0]


def test_watch_one_as_json_prints_a_line_per_change(canned: Any, run: Any, report: Any) -> None:
    """From the report now to the end; another migration's are left out."""
    canned.answers["warmMigration.get"] = report(phase="copying", progress=0.5)
    other = {"report": report(id="other"), "event": None}
    canned.notifications["warmMigration.get"] = [other, {"report": report(), "event": None}]
    result = run("watch", "m-1", "--json")
    assert [json.loads(line)["progress"] for line in result.stdout.splitlines()] == [0.5, 1.0]


def test_watch_without_an_id_ends_with_the_server(canned: Any, run: Any) -> None:
    """The connection's end is a failure with a code."""
    canned.url = "http://127.0.0.1:1"
    result = run("watch", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "SERVER_UNREACHABLE"
