"""Opening a database: its tables, its durability, and what is refused."""

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, func, insert, select, text

from xo_warmig.engine.store.database import FILE_NAME, Database, url_in
from xo_warmig.engine.store.schema import upgrading
from xo_warmig.engine.store.tables import METADATA, REVISION, pools
from xo_warmig.errors import WarmigError

POOL = {
    "id": "p",
    "host": "h",
    "username": "u",
    "sealed_password": "s",
    "label": "",
    "allow_unauthorized": False,
    "read_only": False,
    "enabled": True,
}


def count(database: Database) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(pools)) or 0


def add(connection: Connection) -> None:
    connection.execute(insert(pools).values(**POOL))


def test_the_scripts_make_the_tables_that_the_code_has(database: Database) -> None:
    """Column by column, and the newest script is the one that the code counts as its own."""
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == REVISION
    config = Config()
    config.set_main_option("script_location", str(Path(upgrading.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_it_is_found_again(tmp_path: Path) -> None:
    """Each opening has a name of its own."""
    first = Database(url_in(tmp_path))
    first.write(add)
    first.close()
    second = Database(url_in(tmp_path))
    assert count(second) == 1
    assert second.process != first.process
    second.close()


def test_a_commit_waits_for_the_disk(database: Database) -> None:
    """On every connection, and references between tables are kept."""
    with database.reading() as one, database.reading() as another:
        for connection in (one, another):
            seen = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
            assert seen == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_all_files_are_private(tmp_path: Path) -> None:
    """Whatever the umask, and an older file's mode is put right."""
    (tmp_path / FILE_NAME).touch(0o644)
    before = os.umask(0)
    try:
        database = Database(url_in(tmp_path))
        database.write(add)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert len(modes) == 3  # the database, its log and the log's index
    assert set(modes.values()) == {0o600}, modes
    database.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """And stays as it is."""
    database = Database(url_in(tmp_path))
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(WarmigError) as refused:
        Database(url_in(tmp_path))
    assert refused.value.code == "STATE_TOO_NEW"
    assert refused.value.evidence == {"revision": "9999", "newest_known": REVISION}
    assert refused.value.remedy


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Here a table stands in the way, that one of the last statements would make."""
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE audit (x)")
    connection.close()
    with pytest.raises(WarmigError, match="audit already exists"):
        Database(url_in(tmp_path))
    with sqlite3.connect(path) as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["audit"]
    connection.close()


def test_what_is_no_database_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """It would be a server without its accounts."""
    (tmp_path / FILE_NAME).write_bytes(b"what is this?" * 1000)
    with pytest.raises(WarmigError) as refused:
        Database(url_in(tmp_path))
    assert refused.value.code == "STATE_UNREADABLE"
    assert refused.value.evidence["file"] == str(tmp_path / FILE_NAME)


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A directory stands there, or there is no directory."""
    (tmp_path / FILE_NAME).mkdir()
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(WarmigError) as refused:
            Database(url_in(place))
        assert refused.value.code == "STATE_UNUSABLE"


def test_a_full_disk_is_told_and_loses_nothing(database: Database) -> None:
    """The transaction fails as a whole, and the next one works when there is room again."""
    database.write(add)

    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the present size
        connection.execute(delete(pools))
        connection.execute(insert(pools).values(POOL | {"id": "q", "label": "x" * 10_000_000}))

    with pytest.raises(WarmigError, match="full") as refused:
        database.write(fill)
    assert refused.value.code == "STATE_UNUSABLE"
    assert "xxx" not in str(refused.value.as_dict())
    assert count(database) == 1
    database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    database.write(lambda connection: connection.execute(insert(pools).values(POOL | {"id": "r"})))
    assert count(database) == 2


async def test_the_event_loop_goes_on_while_something_is_written(database: Database) -> None:
    """Also when the disk is slow; the writing thread is another one."""
    release = threading.Event()

    def slow(connection: Connection) -> str:
        assert release.wait(10)
        return threading.current_thread().name

    writing = asyncio.create_task(database.write_soon(slow))
    await asyncio.sleep(0.05)
    assert not writing.done()
    assert count(database) == 0  # readers do not wait either
    release.set()
    assert await writing != threading.current_thread().name


async def test_transactions_happen_in_the_order_in_which_they_were_asked_for(database: Database) -> None:
    """Whoever asks, and however."""
    order: list[int] = []
    first = database.submit(lambda _: order.append(1))
    second = asyncio.ensure_future(database.write_soon(lambda _: order.append(2), then=lambda _: order.append(3)))
    await asyncio.sleep(0)
    await asyncio.to_thread(database.write, lambda _: order.append(4))
    await second
    first.result()
    assert order == [1, 2, 3, 4]


def test_what_is_underway_is_finished_before_closing(tmp_path: Path) -> None:
    """Nothing that was asked for is dropped."""
    database = Database(url_in(tmp_path))
    database.submit(add)
    database.close()
    again = Database(url_in(tmp_path))
    assert count(again) == 1
    again.close()


def test_a_database_from_before_other_hosts_were_pinned_is_upgraded(tmp_path: Path) -> None:
    """Its pools are there, with none pinned but the configured host."""
    database = Database(url_in(tmp_path))
    database.write(add)
    database.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("ALTER TABLE pools DROP COLUMN pins")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    database = Database(url_in(tmp_path))
    with database.reading() as reading:
        assert reading.execute(select(pools.c.id, pools.c.pins)).all() == [("p", {})]
    database.close()
