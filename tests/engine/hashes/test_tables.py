"""The tables of passes: in memory and in files, with one contract."""

import asyncio
import os
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from xo_warmig.engine.hashes import MemoryTables, Tables
from xo_warmig.engine.hashes.files import TableFiles
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import HASHED_BYTES
from xo_warmig.model.units import TIB

Reopen = Callable[[], Tables]


@pytest.fixture(params=["memory", "files"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """The tables as the same process sees them, or the next one."""
    tables = MemoryTables()
    return (lambda: TableFiles(tmp_path / "hashes")) if request.param == "files" else (lambda: tables)


def entries(*values: int) -> "array[int]":
    return array("Q", values)


async def test_what_was_put_is_there_for_the_same_pass(reopen: Reopen) -> None:
    """After a restart too; elsewhere there is nothing."""
    table = reopen().open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    table.put(5, entries(7, 8, 2**64 - 1))
    table.put(16_000_000, entries(9))
    await table.sync()
    table.close()
    again = reopen().open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=3 * HASHED_BYTES)
    assert again.begun_at == 0
    assert list(again.get(4, 5)) == [0, 7, 8, 2**64 - 1, 0]
    assert list(again.get(15_999_999, 3)) == [0, 9, 0]
    again.close()


@pytest.mark.parametrize(("run", "size"), [("m/2/disk", TIB), ("m/1/disk", 2 * TIB)])
def test_another_pass_or_size_begins_anew(reopen: Reopen, run: str, size: int) -> None:
    """And says from where on it tells of the disk."""
    table = reopen().open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    table.put(5, entries(7))
    table.close()
    other = reopen().open("vdi-1", run, size_bytes=size, begun_at=3 * HASHED_BYTES)
    assert other.begun_at == 3 * HASHED_BYTES
    assert list(other.get(0, 9)) == [0] * 9
    other.close()


def test_what_is_sent_again_is_forgotten_before(reopen: Reopen) -> None:
    """From its first block on."""
    table = reopen().open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    table.put(0, entries(*range(2, 22)))
    table.cut(7 * HASHED_BYTES)
    assert list(table.get(0, 10)) == [2, 3, 4, 5, 6, 7, 8, 0, 0, 0]
    table.cut(9 * HASHED_BYTES)
    table.put(9, entries(5))
    assert list(table.get(6, 4)) == [8, 0, 0, 5]
    table.close()


def test_a_clone_takes_the_table_over_and_others_go(reopen: Reopen) -> None:
    """Twice is once."""
    table = reopen().open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    table.put(0, entries(7))
    table.close()
    for _ in range(2):
        reopen().move("vdi-1", "clone-1")
    clone = reopen().open("clone-1", "m/1/disk", size_bytes=TIB, begun_at=9)
    assert (clone.begun_at, list(clone.get(0, 1))) == (0, [7])
    clone.close()
    tables = reopen()
    tables.keep_only(["clone-1"])
    tables.keep_only([])
    gone = reopen().open("clone-1", "m/1/disk", size_bytes=TIB, begun_at=9)
    assert gone.begun_at == 9
    gone.close()


async def test_a_file_is_sparse_and_one_of_another_kind_is_begun_anew(tmp_path: Path) -> None:
    """A terabyte costs a few blocks of the file system; a short or foreign file is no table."""
    tables = TableFiles(tmp_path)
    table = tables.open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    table.put(0, entries(7))
    table.put(16_777_215, entries(8))
    await table.sync()
    table.close()
    path = tmp_path / "vdi-1.hashes"
    status = os.stat(path)
    assert status.st_blocks * 512 < 256 * 1024
    assert status.st_mode & 0o777 == 0o600
    for content in (b"", b"short", os.urandom(10_000)):
        path.write_bytes(content)
        anew = tables.open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=5)
        assert (anew.begun_at, list(anew.get(0, 2))) == (5, [0, 0])
        anew.close()


async def test_a_state_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """By an error of ours; a table may be synced and closed at once by two threads."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WarmigError) as told:
        TableFiles(tmp_path / "file").open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    assert told.value.code == "STATE_NOT_WRITABLE"
    table = TableFiles(tmp_path).open("vdi-1", "m/1/disk", size_bytes=TIB, begun_at=0)
    syncing = [asyncio.ensure_future(table.sync()) for _ in range(20)]
    await asyncio.sleep(0)
    table.close()
    await asyncio.gather(*syncing)
