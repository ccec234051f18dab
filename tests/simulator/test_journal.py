"""The database on disk: what a killed process leaves, and what the next one finds."""

from pathlib import Path

from xo_warmig.simulator.database import Database
from xo_warmig.simulator.journal import Journal


def journaled(path: Path) -> Database:
    """A database as a process opens it: filled from its journal if there is one, and followed by it."""
    database, journal = Database(), Journal(path)
    if journal.exists:
        journal.replay(database)
    journal.start(database)
    return database


def test_changes_survive_without_any_goodbye(tmp_path: Path) -> None:
    """Each change is on disk when the call returns."""
    path = tmp_path / "journal"
    before = journaled(path)
    vm = before.create("VM", name_label="a", platform={"acpi": "1"})
    gone = before.create("VM")
    vbd = before.create("VBD", VM=vm)
    before.set("VM", vm, name_label="b", memory_target=1 << 40)
    before.delete("VM", gone)
    after = journaled(path)
    assert after.rows("VM") == before.rows("VM")
    assert after.field("VM", vm, "VBDs") == [vbd]
    assert after.by_uuid("VM", before.field("VM", vm, "uuid")) == vm


def test_sessions_and_tasks_do_not_survive(tmp_path: Path) -> None:
    """As with a toolstack that is restarted."""
    before = journaled(tmp_path / "journal")
    before.create("session")
    before.create("task")
    after = journaled(tmp_path / "journal")
    assert after.refs("session") == after.refs("task") == []


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """The process may die in the middle of a write."""
    path = tmp_path / "journal"
    vm = journaled(path).create("VM", name_label="a")
    with path.open("ab") as file:
        file.write(b'["set","VM","' + vm.encode())
    assert journaled(path).field("VM", vm, "name_label") == "a"


def test_a_second_start_replays_the_compacted_file(tmp_path: Path) -> None:
    """Many changes of one object become one line."""
    path = tmp_path / "journal"
    database = journaled(path)
    vm = database.create("VM")
    for n in range(50):
        database.set("VM", vm, name_label=str(n))
    journaled(path)
    assert path.read_bytes().count(b"\n") == 2
    assert journaled(path).field("VM", vm, "name_label") == "49"


def test_the_generation_goes_on_past_every_old_token(tmp_path: Path) -> None:
    """A token from before the restart is known to be too old."""
    before = journaled(tmp_path / "journal")
    before.create("VM")
    for _ in range(10):
        before.delete("task", before.create("task"))
    after = journaled(tmp_path / "journal")
    assert after.generation > before.generation
    assert not after.history.remembers("VM", before.generation)
    assert after.history.remembers("VM", after.generation)
