"""The objects of a pool, their relations and their history."""

import threading

import pytest

from xo_warmig.simulator.database import NULL, Database
from xo_warmig.simulator.failure import XapiFailure


def test_a_new_object_has_every_field(database: Database) -> None:
    """Defaults of the datamodel, a uuid and the fields that were given."""
    vdi = database.create("VDI", name_label="disk", virtual_size=1 << 30)
    record = database.get("VDI", vdi)
    assert vdi.startswith("OpaqueRef:")
    assert record["name_label"] == "disk"
    assert record["snapshot_time"] == "19700101T00:00:00Z"
    assert record["SR"] == NULL
    assert record["sm_config"] == {}
    assert database.by_uuid("VDI", record["uuid"]) == vdi


def test_setting_a_reference_keeps_the_other_side(database: Database) -> None:
    """VBD.VM and VM.VBDs say the same, also after a move and a removal."""
    a, b = database.create("VM"), database.create("VM")
    vbd = database.create("VBD", VM=a)
    assert database.field("VM", a, "VBDs") == [vbd]
    database.set("VBD", vbd, VM=b)
    assert database.field("VM", a, "VBDs") == []
    assert database.field("VM", b, "VBDs") == [vbd]
    database.delete("VBD", vbd)
    assert database.field("VM", b, "VBDs") == []


def test_references_to_a_deleted_object_dangle(database: Database) -> None:
    """As in xapi, nobody clears them."""
    vm = database.create("VM")
    snapshot = database.create("VM", snapshot_of=vm)
    database.delete("VM", vm)
    assert database.field("VM", snapshot, "snapshot_of") == vm


def test_a_copy_is_a_copy(database: Database) -> None:
    """Neither what was given nor what was got changes the database later."""
    config = {"a": "1"}
    vdi = database.create("VDI", other_config=config)
    config["b"] = "2"
    database.get("VDI", vdi)["other_config"]["c"] = "3"
    assert database.field("VDI", vdi, "other_config") == {"a": "1"}


def test_rows_stay_as_they_were(database: Database) -> None:
    """A snapshot for an answer that is being written is not touched by later changes."""
    vdi = database.create("VDI", name_label="before")
    rows = database.rows("VDI")
    database.set("VDI", vdi, name_label="after")
    assert rows[vdi]["name_label"] == "before"


def test_an_unknown_object_is_told_as_xapi_tells_it(database: Database) -> None:
    """HANDLE_INVALID and UUID_INVALID with class and what was asked for."""
    with pytest.raises(XapiFailure) as handle:
        database.get("VM", "OpaqueRef:nope")
    with pytest.raises(XapiFailure) as uuid:
        database.by_uuid("VM", "nope")
    assert handle.value.details == ["HANDLE_INVALID", "VM", "OpaqueRef:nope"]
    assert uuid.value.details == ["UUID_INVALID", "VM", "nope"]


def test_a_field_that_no_datamodel_has_is_a_mistake(database: Database) -> None:
    """It would otherwise be lost on the wire."""
    with pytest.raises(LookupError, match="VM has no field flavour"):
        database.create("VM", flavour="sweet")


def test_setting_what_is_there_changes_nothing(database: Database) -> None:
    """No event, no journal line."""
    vm = database.create("VM", name_label="a")
    before = database.generation
    database.set("VM", vm, name_label="a")
    assert database.generation == before


def test_resolve_takes_a_reference_or_a_uuid(database: Database) -> None:
    """As the disk handlers do."""
    vdi = database.create("VDI", uuid="1234")
    assert database.resolve("VDI", vdi) == database.resolve("VDI", "1234") == vdi
    assert database.resolve("VDI", "other") is None


def test_changes_of_other_threads_and_of_tasks_do_not_count_as_mine(database: Database) -> None:
    """What a call changed is told by its own thread; its task is bookkeeping."""
    other = threading.Thread(target=lambda: database.create("VM"))
    other.start()
    other.join()
    database.create("task")
    assert database.changes_by_this_thread() == 0
    database.create("VM")
    assert database.changes_by_this_thread() == 1


def test_history_tells_what_changed_since(database: Database) -> None:
    """One entry an object however often it changed, with the generation of its last change."""
    vm = database.create("VM")
    before = database.generation
    database.set("VM", vm, name_label="a")
    database.set("VM", vm, name_label="b")
    (change,) = database.history.changed_since("VM", before)
    assert change.ref == vm
    assert change.created <= before < change.modified == database.generation
    assert database.history.changed_since("VM", database.generation) == []


def test_history_tells_what_went(database: Database) -> None:
    """With the generation in which it had come, so that who never saw it need not hear of it."""
    vm = database.create("VM")
    before = database.generation
    database.delete("VM", vm)
    (gone,) = database.deleted_since("VM", before)
    assert gone.ref == vm
    assert gone.created <= before < gone.deleted
