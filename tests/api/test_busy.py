"""What migrations make of the objects of pools: busy VMs, and one task for each migration."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.api.busy import Busy, operations_of
from xo_warmig.api.collection import Collection
from xo_warmig.model.phases import Phase, is_end
from xo_warmig.model.pool_tasks import description_of
from xo_warmig.model.requests import WarmMigrationRequest

NULL = "OpaqueRef:NULL"
REQUEST = WarmMigrationRequest(vm="vm-1", sr="sr-1", start_destination_vm=True, delete_source_vm=False)
Report = Callable[..., Any]


def a_vm(uuid: str, **operations: str) -> dict[str, Any]:
    return {"id": uuid, "uuid": uuid, "type": "VM", "current_operations": operations}


def a_task(migration: str) -> dict[str, Any]:
    return {"id": "t", "type": "task", "name_description": description_of(migration, "a", "b")}


@pytest.mark.parametrize("phase", list(Phase))
def test_both_vms_are_busy_until_they_are_done_with(report: Report, phase: Phase) -> None:
    """The source until the end, the target until it runs."""
    found = operations_of(report(phase=phase, target_vm="new"))
    assert (found.get("vm-1") == "migrate_send") is not is_end(phase)
    runs = phase in (Phase.CHECKING, Phase.AWAITING_COMMIT, Phase.COMMITTING)
    assert (found.get("new") == "import") is not (is_end(phase) or runs)
    assert "None" not in operations_of(report(phase=phase, target_vm=None))


def test_only_what_changed_is_to_be_told(fake_engine: Any, report: Report) -> None:
    """Progress alone changes no VM."""
    busy = Busy(fake_engine)
    assert busy.follow(report(phase=Phase.PREPARING, target_vm=None)) == {"vm-1"}
    assert busy.follow(report(phase=Phase.COPYING, target_vm="new")) == {"new"}
    assert busy.follow(report(phase=Phase.SYNCING, target_vm="new", progress=0.5)) == set()
    assert busy.follow(report(phase=Phase.CHECKING, target_vm="new")) == {"new"}
    assert busy.follow(report(phase=Phase.DONE, target_vm="new")) == {"vm-1"}
    assert busy.follow(report(phase=Phase.DONE, target_vm="new")) == set()


def test_an_operation_is_added_to_the_pool_s_own(fake_engine: Any, report: Report) -> None:
    """Keyed by the id of the task that XO's clients are told of; the object that is given stays as it is."""
    busy = Busy(fake_engine)
    busy.follow(report(id="m-1"))
    seen = a_vm("vm-1", other="snapshot")
    told = busy.view(seen)
    assert told is not None
    assert told["current_operations"] == {"other": "snapshot", "m-1": "migrate_send"}
    assert seen["current_operations"] == {"other": "snapshot"}
    assert busy.view(other := a_vm("vm-2")) is other
    busy.follow(report(id="m-1", phase=Phase.CANCELLED))
    assert busy.view(seen) is seen


async def test_a_pool_s_task_for_our_migration_is_left_out(fake_engine: Any) -> None:
    """Another server's, and the pool's own, are told."""
    started = await fake_engine.start(REQUEST, user="u")
    busy = Busy(fake_engine)
    assert busy.view(a_task(started.id)) is None
    assert busy.view(other := a_task("another-server-s")) is other
    own = {"id": "t", "type": "task", "name_description": ""}
    assert busy.view(own) is own


async def test_objects_are_told_anew_when_migrations_change(
    fake_engine: Any, fake_records: Any, report: Report
) -> None:
    """A VM becomes busy and idle with its record as it is; what is hidden is no object at all."""
    started = await fake_engine.start(REQUEST, user="u")
    told: list[tuple[str, Any]] = []
    busy = Busy(fake_engine)
    collection = Collection(fake_records, lambda id, value: told.append((id, value)), busy.view)
    collection.wake()
    task = {"uuid": "t", "name_description": description_of(started.id, "a", "b"), "other_config": {}}
    vm = dict.fromkeys(("metrics", "guest_metrics", "resident_on", "snapshot_of", "affinity"), NULL) | {
        "uuid": "vm-1", "name_label": "web", "current_operations": {}, "other_config": {}, "power_state": "Running",
        "VBDs": [], "platform": {}, "recommendations": "", "HVM_boot_params": {}, "HVM_boot_policy": "", "VCPUs_max": "1",
    }  # fmt: skip
    pool = {"uuid": "p", "name_label": "p", "master": NULL, "default_SR": NULL}
    fake_records.change("p", [("pool", "OpaqueRef:p", pool), ("task", "OpaqueRef:t", task), ("VM", "OpaqueRef:v", vm)])
    assert "t" not in [id for id, _ in told]
    assert {each["id"] for each in await collection.objects()} == {"p", "vm-1"}
    told.clear()
    collection.refresh(busy.follow(report(id=started.id)))
    collection.refresh(["unknown"])
    collection.refresh(busy.follow(report(id=started.id, phase=Phase.DONE)))
    assert [(id, value["current_operations"]) for id, value in told] == [
        ("vm-1", {started.id: "migrate_send"}),
        ("vm-1", {}),
    ]
    fake_records.change("p", [("task", "OpaqueRef:t", None)])
    assert [id for id, _ in told] == ["vm-1", "vm-1"]
