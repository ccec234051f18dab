"""What durability costs: facts and turns per second, and how soon a killed server's copy moves on after its restart.

The restart is that of a server with 200 ended migrations in its store, each with the facts of a real one of eight passes, and with the
turns of as many to forget. It is killed in the middle of a full pass, several times. What is timed goes from the begin of the new process
to the moment when the source's stream flows again, and to the first byte that the target gets: in between the stream passes over what was
copied already.
"""

import asyncio
import signal
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.control import ask
from bench.migrating import add_pools, begin, connected
from bench.result import Goal, Result, figure, tell
from bench.served import Served, served
from xo_warmig.app import TURNS_FILE
from xo_warmig.engine.durable import DurableDriver, workflow_id
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.engine.turns import Turn
from xo_warmig.model.events import Event, PassFinished, Planned, WaitingChanged
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.launch import Pool, Site, start_site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

RUNS, RESTARTS = 5, 3
FACTS, TURNS = 200, 100
ENDED, PASSES = 200, 8
MARKED_SECONDS = 7.0  # of copying: a mark is stored every 5 s
BANDWIDTH = 30 * MIB


@contextmanager
def pools() -> Iterator[Site]:
    """A small VM, whose migration is the pattern of those that ended; and a large one."""
    guest = GuestConfig(kind="blocks", rate=MIB, span=4 * MIB, disks=[0, 1])
    small = VmConfig(
        name_label="small", disks=[DiskConfig(size_bytes=16 * MIB, allocated_bytes=4 * MIB)] * 2, guest=guest
    )
    large = VmConfig(name_label="large", disks=[DiskConfig(size_bytes=2 * GIB, allocated_bytes=768 * MIB)])
    source = PoolConfig(name="source", vms=[small, large], bandwidth=BANDWIDTH)
    with start_site(SiteConfig(pools=[source, PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2)])) as site:
        yield site


async def a_real_migration(server: Served, site: Site) -> str:
    """Its id, when it has ended after some passes."""
    server.start()
    await asyncio.to_thread(server.answers)
    async with server.client() as client:
        await add_pools(client, site)
        migration = await begin(client, site, 0, cutover="hold", minPassInterval=0.2)
        while len((await client.call("warmMigration.get", id=migration))["passes"]) < PASSES:
            await asyncio.sleep(0.1)
        await client.call("warmMigration.cutover", id=migration)
        while (await client.call("warmMigration.get", id=migration))["finished"] is None:
            await asyncio.sleep(0.1)
    server.end(signal.SIGTERM)
    return migration


async def repeat(state_dir: Path, pattern: str) -> int:
    """The same migration again and again under other ids; the facts of one."""
    database = Database(url_in(state_dir))
    store = DatabaseStore(database)
    facts: list[Event] = [each.event for each in store.events(pattern)]
    for _ in range(ENDED - 1):
        await store.append(str(uuid.uuid4()), time.time(), facts)
    database.close()
    return len(facts)


class Turns:
    """Those of one migration, as its server left them; a server forgets them at its next start."""

    def __init__(self, file: Path, pattern: str) -> None:
        self._file = file
        self._pattern = pattern
        with closing(sqlite3.connect(file)) as turns:
            self._rows = {
                table: turns.execute(
                    f"SELECT * FROM {table} WHERE workflow_uuid LIKE ?", [f"{workflow_id(pattern)}%"]
                ).fetchall()
                for table in ("workflow_status", "operation_outputs")
            }

    def repeat(self) -> None:
        """As if so many migrations had ended since the server's start."""
        with closing(sqlite3.connect(self._file)) as turns, turns:
            for _ in range(ENDED):
                other = str(uuid.uuid4())
                for table, rows in self._rows.items():
                    marks = ",".join("?" * len(rows[0]))
                    renamed = [[self._renamed(cell, other) for cell in row] for row in rows]
                    turns.executemany(f"INSERT INTO {table} VALUES ({marks})", renamed)

    def _renamed(self, cell: Any, other: str) -> Any:
        return cell.replace(self._pattern, other) if isinstance(cell, str) else cell


class Restart(NamedTuple):
    """Seconds until the source's stream flows again, and until the target gets a byte; of the processor, until the former."""

    reading: float
    sending: float
    processor: float


async def restarts(server: Served, site: Site, turns: Turns) -> list[Restart]:
    """Each kills the server in the middle of the copy and starts it again."""
    source, target = site.pools
    server.start()
    await asyncio.to_thread(server.answers)
    async with server.client() as client:
        await connected(client)
        await begin(client, site, 1)
        read = asyncio.create_task(first_byte(source, "export_raw_vdi"))
        await read
        await asyncio.sleep(MARKED_SECONDS)
    found = []
    for _ in range(RESTARTS):
        server.end(signal.SIGKILL)
        await asyncio.to_thread(turns.repeat)
        while (await ask(source, "state"))["dom0_vbds"] or (await ask(target, "state"))["dom0_vbds"]:
            await asyncio.sleep(0.05)
        flows = asyncio.create_task(first_byte(source, "export_raw_vdi"))
        arrives = asyncio.create_task(first_byte(target, "import_raw_vdi"))
        await asyncio.sleep(0.2)  # both are armed
        begun = server.start()
        reading = await flows - begun
        processor = server.processor_seconds()
        found.append(Restart(reading, await arrives - begun, processor))
    return found


async def first_byte(pool: Pool, transfer: str) -> float:
    """When a transfer passes the first bytes from now on, in monotonic seconds: a fault that does nothing tells."""
    await ask(pool, "faults", clear=True)
    # Behind the head of a stream, which says nothing of the disk.
    number = (await ask(pool, "faults", kind="delay", match=transfer, at=65536, seconds=0.0))["number"]
    while next(each["left"] for each in (await ask(pool, "faults"))["faults"] if each["number"] == number):
        await asyncio.sleep(0.02)
    return time.monotonic()


async def facts_per_second(directory: Path, facts: list[Event]) -> list[float]:
    """One after the other, each on the disk before the next."""
    database = Database(url_in(directory))
    store = DatabaseStore(database)
    rates = []
    planned = next(each for each in facts if isinstance(each, Planned))
    finished = next(each for each in facts if isinstance(each, PassFinished))
    for _ in range(RUNS):
        migration = str(uuid.uuid4())
        await store.append(migration, time.time(), [planned])
        begun = time.monotonic()
        for _ in range(FACTS):
            await store.append(migration, time.time(), [finished])
        rates.append(FACTS / (time.monotonic() - begun))
    database.close()
    return rates


class OneFactEach:
    """Turns that do nothing but record a fact, as every turn does at least; with a disk, each is followed by a copy of nothing."""

    def __init__(self, store: DatabaseStore, disks: tuple[str, ...]) -> None:
        self._store = store
        self._disks = disks
        self._left: dict[str, int] = {}
        self.ended = asyncio.Event()

    async def turn(self, migration: str) -> Turn:
        left = self._left.setdefault(migration, TURNS)
        if left == 0:
            self.ended.set()
            return Turn(ended=True)
        self._left[migration] = left - 1
        await self._store.append(migration, time.time(), [WaitingChanged(waiting_for=WaitingFor.NOTHING)])
        return Turn(False, 1, self._disks)

    async def copy(self, migration: str, number: int, disk: str) -> None:
        return


async def turns_per_second(directory: Path, planned: Planned, disks: tuple[str, ...]) -> list[float]:
    """As the durable driver takes them."""
    database = Database(url_in(directory))
    store = DatabaseStore(database)
    driver = DurableDriver(directory / TURNS_FILE)
    turns = OneFactEach(store, disks)
    await driver.open(turns)
    rates = []
    for _ in range(RUNS):
        migration = str(uuid.uuid4())
        await store.append(migration, time.time(), [planned])
        turns.ended.clear()
        begun = time.monotonic()
        await driver.drive(migration)
        await turns.ended.wait()
        rates.append(TURNS / (time.monotonic() - begun))
    await asyncio.sleep(1.0)  # the last turn's record
    await driver.close()
    database.close()
    return rates


async def measure(directory: Path) -> Result:
    state_dir = directory / "state"
    with pools() as site, served(state_dir) as server:
        pattern = await a_real_migration(server, site)
        turns = Turns(state_dir / TURNS_FILE, pattern)
        count = await repeat(state_dir, pattern)
        found = await restarts(server, site, turns)
        server.end(signal.SIGKILL)
        database = Database(url_in(state_dir))
        facts: list[Event] = [each.event for each in DatabaseStore(database).events(pattern)]
        database.close()
    assert isinstance(facts[0], Planned)
    return Result(
        name="recovery",
        figures={
            "facts": figure(await facts_per_second(directory / "facts", facts), "/s"),
            "turns": figure(await turns_per_second(directory / "turns", facts[0], ()), "/s"),
            "turns with a copy": figure(await turns_per_second(directory / "copies", facts[0], ("disk",)), "/s"),
            "stored": figure([count * ENDED], f"facts of {ENDED} ended migrations"),
            "restart to reading": figure([each.reading for each in found], "s"),
            "of the processor": figure([each.processor for each in found], "s"),
            "restart to sending": figure([each.sending for each in found], "s"),
        },
        goals=[
            Goal(figure="facts", at_least=100.0),
            Goal(figure="turns", at_least=25.0),
            Goal(figure="restart to reading", at_most=10.0),
        ],
    )


def main() -> int:
    """Run it and tell."""
    with tempfile.TemporaryDirectory(prefix="xo-warmig-bench-") as directory:
        for each in ("facts", "turns", "copies"):
            (Path(directory) / each).mkdir()
        return tell(asyncio.run(measure(Path(directory))), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
