"""Which release has what, and what clients of an older one see."""

import pytest

from xo_warmig.simulator import datamodel, release
from xo_warmig.simulator.datatype import EventBatch, parse
from xo_warmig.simulator.decoding import decode
from xo_warmig.simulator.visibility import visible


@pytest.mark.parametrize(
    ("came", "first"),
    [
        ("rio", "6.5"),
        ("creedence", "6.5"),
        ("cream", "7.1"),
        ("dundee", "7.1"),
        ("inverness", "7.6"),
        ("naples", "8.0"),
        ("quebec", "8.2"),
        ("stockholm_psr", "8.2"),
        ("1.250.0", "8.3"),
        ("26.17.0", "8.3"),
    ],
)
def test_what_came_with_a_release_is_in_it_and_all_later_ones(came: str, first: str) -> None:
    """Code names come before versions."""
    names = release.names()
    assert [name for name in names if release.has(name, came)] == names[names.index(first) :]


def test_the_newest_release_has_the_whole_datamodel() -> None:
    """Its distributors keep it up to date."""
    assert datamodel.of_release("8.3") is datamodel.load()


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("VDI.list_changed_blocks", "7.6"),
        ("VDI.get_nbd_info", "7.6"),
        ("VM.set_bios_strings", "7.6"),
        ("VM.set_domain_type", "7.6"),
        ("VM.set_NVRAM", "8.0"),
        ("task.set_other_config", "6.5"),
        ("task.set_status", "7.6"),
        ("task.set_progress", "8.2"),
        ("task.set_result", "8.3"),
        ("VTPM.set_contents", "8.3"),
    ],
)
def test_calls_are_known_from_their_release_on(method: str, first: str) -> None:
    """By the matrix of the reference, section 5."""
    hidden = {"VTPM.set_contents": "22.26.0"}
    names = release.names()
    known = [
        name
        for name in names
        if method in datamodel.of_release(name).methods or release.has(name, hidden.get(method, "9999"))
    ]
    assert known == names[names.index(first) :]


def test_classes_that_6_5_lacks() -> None:
    """By the list of the reference, section 5."""
    known = datamodel.of_release("6.5").classes
    for absent in (
        "pool_update",
        "VMSS",
        "PVS_proxy",
        "Feature",
        "Certificate",
        "Cluster",
        "VUSB",
        "VM_group",
        "Observer",
    ):
        assert absent not in known
    assert {"VM", "VDI", "VTPM", "VMPP"} <= known.keys()


def test_a_snapshot_takes_a_third_parameter_from_8_3_on() -> None:
    """The published datamodel has no releases of parameters."""
    counts = {name: len(datamodel.of_release(name).methods["VM.snapshot"].params) for name in release.names()}
    assert counts == {"6.5": 2, "7.1": 2, "7.6": 2, "8.0": 2, "8.2": 2, "8.3": 3}


def test_a_call_that_was_removed_answers_so_only_since() -> None:
    """Quiescing snapshots went with 8.1."""
    states = {name: datamodel.of_release(name).methods["VM.snapshot_with_quiesce"].state for name in ("8.0", "8.2")}
    assert states == {"8.0": "Published", "8.2": "Removed"}


def test_records_are_sent_without_later_fields() -> None:
    """Alone, in a map, and in events."""
    row = {"uuid": "u", "NVRAM": {}, "domain_type": "hvm"}
    assert visible(parse("VM record"), row, "6.5") == {"uuid": "u"}
    assert visible(parse("(VM ref -> VM record) map"), {"ref": row}, "7.6") == {
        "ref": {"uuid": "u", "domain_type": "hvm"}
    }
    assert visible(parse("VM record"), row, "8.3") is row
    event = {"class": "vm", "operation": "mod", "ref": "r", "snapshot": row}
    gone = {"class": "vm", "operation": "del", "ref": "r"}
    unknown = {"class": "vm_group", "operation": "add", "ref": "r", "snapshot": {}}
    batch = {"events": [event, gone, unknown], "valid_ref_counts": {"vm": 1, "vm_group": 0}, "token": "t"}
    assert visible(EventBatch(), batch, "6.5") == {
        "events": [event | {"snapshot": {"uuid": "u"}}, gone],
        "valid_ref_counts": {"vm": 1},
        "token": "t",
    }
    told_by_next = datamodel.load().classes["event"].messages["next"].result
    assert visible(told_by_next, [unknown, event, gone], "6.5") == [event | {"snapshot": {"uuid": "u"}}, gone]


def test_later_members_of_a_constructor_are_ignored() -> None:
    """So a record with all that any release has is safe on an old host; what it has not is as if not given."""
    kind = parse("VDI record")
    record = {
        "SR": "OpaqueRef:1",
        "virtual_size": "1",
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
        "cbt_enabled": True,
    }
    assert decode(kind, record, "6.5").keys() == decode(kind, record).keys()
    vm = {
        field.name: datamodel.zero(field.type, datamodel.load().enums)
        for field in datamodel.load().classes["VM"].fields.values()
    }
    assert decode(parse("VM record"), vm | {"NVRAM": {"EFI-variables": "x"}}, "7.6")["NVRAM"] == {}
    assert decode(parse("VM record"), vm | {"NVRAM": {"EFI-variables": "x"}}, "8.0")["NVRAM"] == {"EFI-variables": "x"}
