"""After a change of one record only the objects that it is part of are made anew, and all of them."""

from typing import Any

import pytest

from tests.xo.pools import NOTHING, small_pool, vdi_record
from xo_warmig.xo.objects import CONVERTED, PoolRecords, XoObject, dependants, object_of


def pool_with_more() -> PoolRecords:
    """The small pool with a chain of images and a bond."""
    pool = small_pool()
    pool["VDI"]["OpaqueRef:vdi"]["sm_config"] = {"vhd-parent": "base-uuid"}
    pool["VDI"]["OpaqueRef:base"] = vdi_record("base", managed=False, sm_config={"vhd-parent": "root-uuid"})
    pool["VDI"]["OpaqueRef:root"] = vdi_record("root", managed=False)
    pool["VM"]["OpaqueRef:vm"] |= {"resident_on": NOTHING, "VTPMs": ["OpaqueRef:vtpm"]}
    pool["VTPM"] = {"OpaqueRef:vtpm": {"uuid": "vtpm-uuid", "VM": "OpaqueRef:vm"}}
    pif = pool["PIF"]["OpaqueRef:pif"]
    pool["PIF"]["OpaqueRef:slave"] = pif | {"uuid": "slave-uuid", "bond_slave_of": "OpaqueRef:bond"}
    pif["bond_master_of"] = ["OpaqueRef:bond"]
    pool["Bond"] = {"OpaqueRef:bond": {"uuid": "b", "master": "OpaqueRef:pif", "slaves": ["OpaqueRef:slave"]}}
    pool["Certificate"] = {"OpaqueRef:c": {"host": "OpaqueRef:h", "fingerprint": "f", "not_after": ""}}
    pool["host"]["OpaqueRef:h"]["certificates"] = ["OpaqueRef:c"]
    return PoolRecords(pool)


def all_objects(pool: PoolRecords) -> dict[tuple[str, str], XoObject | None]:
    return {(cls, ref): object_of(cls, ref, pool) for cls in CONVERTED for ref in pool.all_of(cls)}


@pytest.mark.parametrize(
    ("cls", "ref", "expected"),
    [
        ("VM_guest_metrics", "gm", {("VM", "vm")}),
        ("VM_metrics", "vmm", {("VM", "vm")}),
        ("VTPM", "vtpm", {("VM", "vm")}),
        ("task", "task", {("VM", "vm")}),
        ("VBD", "vbd", {("VM", "vm"), ("VDI", "vdi")}),
        ("VIF", "vif", {("VM", "vm"), ("network", "net")}),
        ("VDI", "root", {("SR", "sr"), ("VDI", "base"), ("VDI", "vdi")}),
        ("host_metrics", "hm", {("host", "h")}),
        ("Certificate", "c", {("host", "h")}),
        ("host", "h", set()),
        ("host", "m", {("pool", "pool")}),
        ("PBD", "pbd", {("SR", "sr"), ("host", "h"), ("VM", "vm")}),
        ("SR", "sr", {("PBD", "pbd"), ("VM", "vm")}),
        ("PIF_metrics", "pifm", {("PIF", "pif"), ("PIF", "slave")}),
        ("Bond", "bond", {("PIF", "pif"), ("PIF", "slave")}),
        ("PIF", "pif", {("network", "net"), ("host", "h")}),
        ("message", "msg", set()),
    ],
)
def test_dependants(cls: str, ref: str, expected: set[tuple[str, str]]) -> None:
    """Themselves left out."""
    pool = pool_with_more()
    record = pool.get(cls, f"OpaqueRef:{ref}")
    assert record is not None
    assert dependants(cls, f"OpaqueRef:{ref}", record, pool) == {(kind, f"OpaqueRef:{name}") for kind, name in expected}


@pytest.mark.parametrize(
    ("cls", "ref", "change"),
    [
        ("VM_guest_metrics", "gm", {"os_version": {"name": "other"}}),
        ("VM_metrics", "vmm", {"memory_actual": "1"}),
        ("VDI", "root", {"physical_utilisation": "7"}),
        ("host_metrics", "hm", {"live": False}),
        ("host", "m", {"name_label": "renamed"}),
        ("SR", "sr", {"shared": True}),
        ("PBD", "pbd", {"host": "OpaqueRef:m"}),
        ("PIF", "slave", {"bond_slave_of": NOTHING}),
        ("PIF_metrics", "pifm", {"carrier": False}),
        ("Bond", "bond", {"slaves": []}),
        ("Certificate", "c", {"fingerprint": "other"}),
    ],
)
def test_no_object_is_forgotten_after_a_change(cls: str, ref: str, change: dict[str, Any]) -> None:
    """What is not named by the change is as it would be if everything were made anew."""
    pool = pool_with_more()
    _keeps_all_right(pool, cls, f"OpaqueRef:{ref}", change)


@pytest.mark.parametrize(
    "cls",
    [
        *("VM_metrics", "VM_guest_metrics", "VTPM", "VBD", "VIF", "task", "message"),
        *("host_metrics", "Certificate", "PBD", "PIF_metrics", "Bond"),
    ],
)
def test_no_object_is_forgotten_when_a_record_comes_and_goes(cls: str) -> None:
    """Even when the other side of the relation is not told of again."""
    pool = pool_with_more()
    for ref, record in list(pool.all_of(cls).items()):
        _keeps_all_right(pool, cls, ref, None)
        _keeps_all_right(pool, cls, ref, dict(record))


def _keeps_all_right(pool: PoolRecords, cls: str, ref: str, change: dict[str, Any] | None) -> None:
    before = all_objects(pool)
    old = pool.get(cls, ref)
    if change is None:
        assert old is not None
        record = old
        pool.remove(cls, ref)
    else:
        record = {**(old or {}), **change}
        pool.put(cls, ref, record)
    named = dependants(cls, ref, record, pool) | {(cls, ref)}
    stale = {place for place, one in all_objects(pool).items() if place not in named and one != before.get(place)}
    assert not stale


def test_who_names_a_record_is_forgotten_with_it() -> None:
    """Also when it names another one now."""
    pool = pool_with_more()
    vm = pool.get("VM", "OpaqueRef:vm")
    assert vm is not None
    pool.put("VM", "OpaqueRef:vm", {**vm, "guest_metrics": NOTHING})
    assert pool.namers("OpaqueRef:gm") == frozenset()
    pool.remove("VM", "OpaqueRef:vm")
    assert pool.namers("OpaqueRef:vmm") == frozenset()
