"""Which release has what, and what clients of an older one see."""

from collections.abc import Callable

import msgspec
import pytest

from tests.simulator.conftest import Client
from xo_warmig.simulator import datamodel, release
from xo_warmig.simulator.datatype import EventBatch, parse
from xo_warmig.simulator.decoding import decode
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.rpc import answer_json
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


@pytest.mark.parametrize(("name", "tracks", "edition"), [("7.1", False, "free"), ("7.6", True, "xcp-ng")])
def test_hosts_and_drivers_of_a_release(
    new_pool: Callable[..., SimPool], name: str, tracks: bool, edition: str
) -> None:
    """Drivers track changed blocks since 7.3; XCP-ng began with 7.4, and has an edition of its own."""
    pool = new_pool(release=name)
    (driver,) = (row for row in pool.db.rows("SM").values() if row["type"] == "ext")
    assert ("VDI_CONFIG_CBT" in driver["features"]) is tracks
    assert pool.db.row("host", pool.master)["edition"] == edition


@pytest.mark.parametrize(("name", "versioned"), [("7.1", False), ("7.6", True)])
def test_json_rpc_answers_in_its_version_since_7_3(
    new_pool: Callable[..., SimPool], name: str, versioned: bool
) -> None:
    """Before, a request of version 2 was answered as one of version 1."""
    pool = new_pool(release=name)
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 7, "method": "VM.get_all", "params": ["nobody"]})
    answer = msgspec.json.decode(answer_json(pool, pool.master, body))
    error = ["SESSION_INVALID", "nobody"]
    if versioned:
        assert answer == {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": error[0], "data": error[1:]}}
    else:
        assert answer == {"id": 7, "result": None, "error": error}


def test_events_of_before_6_1(new_pool: Callable[..., SimPool]) -> None:
    """On request a pool has neither ``event.from`` nor what belongs to it, but what there was before."""
    pool = new_pool(legacy_events=True)
    client = Client(pool)
    for call in (("event.from", ["*"], "", 0.0), ("event.inject", "pool", pool.pool_ref)):
        with pytest.raises(XapiFailure) as failure:
            client(*call)
        assert failure.value.details == ["MESSAGE_METHOD_UNKNOWN", call[0]]
    assert not {"event.from", "event.inject"}.intersection(client.raw("system.listMethods"))
    client("event.register", ["pool"])
    client("pool.set_name_label", pool.pool_ref, "another")
    assert [event["ref"] for event in client("event.next")] == [pool.pool_ref]
