"""Servers that are struck: the points that they pass, the strike, and what a good migration looks like without one."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from tests.faults.choosing import Point, parse_point
from tests.faults.crashing import mark_commits
from tests.faults.points import Orders, Passed, Points, numbered, read_passed
from tests.faults.scene import Scene, scene_of
from tests.faults.servers import Nursery, Server
from tests.faults.sweep import VARIANTS, good_points

# One process is to do the sweeps: the good migrations are carried out once, and no two sweeps press the machine at a time. With pytest 9.2
# pytest-xdist 3.8 cannot keep a group together, so a process that has a sweep carries them out for itself.
pytestmark = [pytest.mark.xdist_group("sweeps"), pytest.mark.timeout(300)]

BY_BLOCKS = ("VDI.enable_cbt", "VDI.disable_cbt", "open")
EFFECTS = (
    "target VM.create",
    "target VM.set_blocked_operations",
    "target Async.VDI.create",
    "target VBD.create",
    "source Async.VDI.snapshot",
    "source open_export",
    "target open_import",
    "source finish",
    "target finish",
    "source VM.add_to_blocked_operations",
    "source Async.VM.clean_shutdown",
    "target VM.set_platform",
    "target Async.VM.start",
    "source Async.VDI.destroy",
)


@pytest.fixture
async def scene(servers: Nursery, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_of(servers, tmp_path / "scene", len(VARIANTS)) as opened:
        yield opened


async def test_a_migration_passes_a_point_before_and_after_each_kind_of_effect(
    servers: Nursery, tmp_path: Path
) -> None:
    """That those which nothing strikes keep all rules was seen when their points were taken."""
    good = await good_points(servers, tmp_path, [VARIANTS["started"], VARIANTS["by-blocks"]])
    passed = {point.stratum[-1] for point in good["started"]}
    wanted = {f"{when} {effect}" for when in ("before", "after") for effect in EFFECTS}
    assert wanted <= passed, wanted - passed
    assert {f"{when} source {effect}" for when in ("before", "after") for effect in BY_BLOCKS} <= {
        point.stratum[-1] for point in good["by-blocks"]
    }


async def test_a_server_is_killed_at_its_point(scene: Scene) -> None:
    """Before the point's effect comes true; started again it answers at the same address."""
    migration = scene.migration(VARIANTS["started"])
    await migration.begin()
    assert await migration.one_server("before target VM.create:1"), "it died"
    passed = migration.server.passed
    assert passed.struck
    assert [name for name in passed.names if name.endswith("target VM.create")] == ["before target VM.create"]
    assert passed.names[-1] == "before target VM.create"
    assert not [
        call
        for call in migration.watchers.target.trace(migration.since.target)["calls"]
        if call["method"] == "VM.create"
    ]
    url = migration.server.url
    assert await migration.server.start()
    assert migration.server.url == url
    await migration.server.end()


async def test_a_server_that_is_stopped_goes_on(scene: Scene) -> None:
    server: Server = scene.server()
    server.armed.touch()
    await server.start()
    signal.pidfd_send_signal(server.pidfd, signal.SIGSTOP)
    while not server.is_stopped:
        pass
    server.go_on()
    async with server.client() as client:
        assert await client.call("warmMigration.list") == []
    await server.end()
    assert server.is_dead


def test_points_count_once_they_are_armed(tmp_path: Path) -> None:
    points = Points(Orders(armed=str(tmp_path / "armed"), passed=str(tmp_path / "passed")))
    points.passing("before start")
    (tmp_path / "armed").touch()
    for name in ("a", "b", "a"):
        points.passing(name)
    assert read_passed(tmp_path / "passed") == Passed(["a", "b", "a"], False)
    assert numbered(["a", "b", "a"]) == ["a:1", "b:1", "a:2"]


@pytest.mark.parametrize("strike_at", ["a:2", "3"])
def test_a_strike_comes_at_its_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strike_at: str) -> None:
    """By the name and number, or by the number among all."""
    signals: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: signals.append(number))
    (tmp_path / "armed").touch()
    points = Points(Orders(armed=str(tmp_path / "armed"), passed=str(tmp_path / "passed"), strike_at=strike_at))
    for name in ("a", "b"):
        points.passing(name)
    assert not signals
    points.passing("a")
    points.passing("a")
    assert signals == [signal.SIGKILL]
    assert read_passed(tmp_path / "passed").struck


def test_a_point_is_read_as_it_is_written() -> None:
    point = Point("started", ("before target VM.create:1", "after commit dbos.sqlite:12"))
    assert parse_point(str(point)) == point
    assert point.stratum == ("", "before target VM.create", "after commit dbos.sqlite")
    struck = Point("left-halted", ("after source finish:2",), "kill-source")
    assert parse_point(str(struck)) == struck


class Noted:
    """Takes the place of points."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def passing(self, name: str) -> None:
        self.names.append(name)


def test_a_commit_is_a_point_when_there_is_something_to_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its file, whoever opened it."""
    monkeypatch.setattr(SQLiteDialect, "do_commit", SQLiteDialect.do_commit)
    noted = Noted()
    mark_commits(noted)
    database = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/store.sqlite")
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("create table facts (number integer)"))
        connection.execute(sqlalchemy.text("insert into facts values (1)"))
    noted.names.clear()
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("select * from facts"))
    assert noted.names == []
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("insert into facts values (2)"))
    assert noted.names == ["before commit store.sqlite", "after commit store.sqlite"]
    database.dispose()


def test_the_engine_commits_at_points(tmp_path: Path) -> None:
    """The library of durable workflows commits where points see it: each step of a workflow at least once."""
    program = """
import sys
from pathlib import Path
from dbos import DBOS
from tests.faults.crashing import mark_commits

class Noted:
    def __init__(self): self.names = []
    def passing(self, name): self.names.append(name)

noted = Noted()
mark_commits(noted)
DBOS(config={"name": "points", "system_database_url": f"sqlite:///{sys.argv[1]}/engine.sqlite"})

@DBOS.step()
def step(): return 1

@DBOS.workflow()
def workflow(): return [step() for _ in range(3)]

DBOS.launch()
noted.names.clear()
workflow()
print(noted.names.count("before commit engine.sqlite"), noted.names.count("after commit engine.sqlite"))
DBOS.destroy()
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = (int(word) for word in ran.stdout.split()[-2:])
    assert before == after >= 4, "one for each step, one for the workflow"
