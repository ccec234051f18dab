"""A process is killed while it appends: what was acknowledged is there, in order, and no group of facts is in two."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.model.events import RecordedEvent, Warned

ROOT = Path(__file__).parents[3]
LEAST_LINES = 30


def killed(url: str, name: str, delay_seconds: float) -> dict[str, int]:
    """The last acknowledged number of each migration of a process that was killed in the midst of it."""
    command = [sys.executable, "-m", "tests.engine.store.appender", url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(LEAST_LINES)]
        time.sleep(delay_seconds)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    told = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {migration: int(number) for migration, number in told}


def test_acknowledged_facts_survive_a_kill(tmp_path: Path) -> None:
    """Again and again on the same database, which the next process opens as it was left."""
    url = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    chance = random.Random(3)
    acknowledged: dict[str, int] = {}
    for name in ("first", "second", "third"):
        acknowledged |= killed(url, name, chance.uniform(0, 0.3))
        database = Database(url)
        store = DatabaseStore(database)
        assert set(acknowledged) <= set(store.migrations())
        for migration, number in acknowledged.items():
            facts = store.events(migration)
            assert [each.number for each in facts] == list(range(1, len(facts) + 1))
            assert len(facts) >= number, migration
            assert_whole(facts)
        database.close()
    assert len(acknowledged) == 9


def assert_whole(facts: list[RecordedEvent]) -> None:
    """Groups were kept all or none."""
    parts = [each.event.warning.evidence for each in facts if isinstance(each.event, Warned)]
    assert len(parts) == len(facts) - 1
    while parts:
        size = parts[0]["size"]
        assert isinstance(size, int)
        assert [part["part"] for part in parts[:size]] == list(range(size))
        assert len({str(part["round"]) for part in parts[:size]}) == 1
        parts = parts[size:]
