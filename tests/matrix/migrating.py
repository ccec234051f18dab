"""One combination on the real wire: pools, a server, a migration, and what came of it."""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from tests.matrix.combinations import RAW_LVM, WITH_QCOW2, Combination, release_of
from tests.matrix.full_vm import bios_strings_of, vm_of
from tests.matrix.records import Difference, unexplained
from tests.pools import XapiSession, control
from tests.scenarios.conftest import world_of
from xo_warmig.simulator import datamodel
from xo_warmig.simulator.launch import Pool, Site
from xo_warmig.simulator.site import PoolConfig

UNKNOWN = frozenset(
    {"MESSAGE_METHOD_UNKNOWN", "MESSAGE_REMOVED", "MESSAGE_PARAMETER_COUNT_MISMATCH", "FIELD_TYPE_ERROR"}
)


class Outcome(NamedTuple):
    """``disks``: the hashes of both sides' disks by their position. ``state``: what each VM changed of itself: clock, NVRAM, vTPM.

    ``refused``: calls that a release did not know.
    """

    report: dict[str, Any]
    disks: list[tuple[str, str]]
    state: tuple[str, str]
    differences: list[Difference]
    refused: list[str]

    def faults(self) -> list[str]:
        """What is not as it should be, in words; none when all is."""
        return [
            *([] if self.report["phase"] == "done" else [f"it is {self.report['phase']}: {self.report['error']}"]),
            *([] if self.state[0] == self.state[1] else ["what the VM changed of itself differs"]),
            *(f"disk {n} differs" for n, (left, right) in enumerate(self.disks) if left != right),
            *(f"{each.cls}.{each.field} was {each.source!r} and is {each.target!r}" for each in self.differences),
            *(f"the release does not know {method}" for method in self.refused),
        ]


async def carry_out(combination: Combination, directory: Path) -> Outcome:
    """Migrate one VM so. Raises CallFailed where the server refuses."""
    source, target = pools_of(combination)
    async with world_of(directory, source, target, apart=False, upstream=None) as world:
        second = {disk["vdi"]: world.target.srs[1].uuid for disk in _disks(world.source)[1:2]}
        await world.migrate(startDestinationVm=False, mapVdisSrs=second)
        return await asyncio.to_thread(_look, world.site, await world.last_report())


def pools_of(combination: Combination) -> list[PoolConfig]:
    """All hosts are of one maker, so that the VM's BIOS strings can be had on releases that let nobody set them, too."""
    https = combination.scheme == "https"
    vm = vm_of(combination)
    source = PoolConfig(
        name="source", vms=[vm], https=https, **_release(combination.source, https), **_storage(combination.source_srs)
    )
    other: dict[str, Any] = {"cpu_vendor": "AuthenticAMD", "seed": 2, "https": https}
    target = PoolConfig(
        name="target", **_release(combination.target, https), **_storage(combination.target_srs), **other
    )
    return [source, target]


def _release(name: str, https: bool) -> dict[str, Any]:
    """Fields of a pool. Changes of qcow2 disks can be read over NBD alone."""
    if name == WITH_QCOW2:
        more = {"nbd_purpose": "nbd" if https else "insecure_nbd", "image_formats": ["qcow2", "vhd"]}
    else:
        more = {"nbd_purpose": "nbd" if https else ""}
    release = release_of(name)
    return {"release": release, "host_bios_strings": bios_strings_of(release), **more}


def _storage(srs: str) -> dict[str, Any]:
    """Fields of a pool."""
    first, second = srs.split(" and ")
    return {"sr_type": "lvm" if first == RAW_LVM else first, "second_sr_type": second, "lvm_vhd": first != RAW_LVM}


def _disks(pool: Pool) -> list[dict[str, Any]]:
    """VBDs of its VM's disks, in order."""
    (vm,) = [vm for vm in control(pool, "state")["vms"] if vm["uuid"] == pool.vms[0].uuid]
    disks = [vbd for vbd in vm["vbds"] if vbd["type"] == "Disk"]
    return sorted(disks, key=lambda vbd: int(vbd["userdevice"]))


def _look(site: Site, report: dict[str, Any]) -> Outcome:
    """Disks are compared while nobody writes. The target is started by hand then: a VM has BIOS strings of its own from its first start."""
    source, target = site.pools
    left, right = _Side(source, source.vms[0].uuid), _Side(target, report["targetVm"])
    disks = list(zip(left.hashes(), right.hashes(), strict=True))
    state = left.state(), right.state()
    right.start()
    differences = _differences(left, _Side(target, report["targetVm"]))
    return Outcome(report, disks, state, differences, [*_refused(source), *_refused(target)])


class _Side:
    """A VM and its devices as their pool has them."""

    def __init__(self, pool: Pool, uuid: str) -> None:
        self.pool = pool
        self._session = XapiSession(pool)
        self._ref = self._session.call("VM.get_by_uuid", uuid)
        self.vm = self._record("VM", self._ref)
        vbds = [self._record("VBD", ref) for ref in self.vm["VBDs"]]
        self.vbds = sorted(vbds, key=lambda vbd: int(vbd["userdevice"]))
        self.vifs = sorted((self._record("VIF", ref) for ref in self.vm["VIFs"]), key=lambda vif: str(vif["device"]))
        self.vtpms = [self._record("VTPM", ref) for ref in self.vm.get("VTPMs", [])]
        self.vdis = [self._record("VDI", vbd["VDI"]) for vbd in self.vbds if vbd["type"] == "Disk"]

    def start(self) -> None:
        """LookupError when it cannot."""
        self._session.call("VM.start", self._ref, False, False)

    def state(self) -> str:
        (vm,) = [vm for vm in control(self.pool, "state")["vms"] if vm["uuid"] == self.vm["uuid"]]
        return str(vm["own_state"])

    def hashes(self) -> list[str]:
        hashes = control(self.pool, "state?hash=1")["vdis"]
        by_uuid = {vdi["uuid"]: vdi["hash"] for vdi in hashes if "hash" in vdi}
        return [by_uuid[vdi["uuid"]] for vdi in self.vdis]

    def _record(self, cls: str, ref: str) -> dict[str, Any]:
        record: dict[str, Any] = self._session.call(f"{cls}.get_record", ref)
        return record


def _differences(left: _Side, right: _Side) -> list[Difference]:
    pairs = [
        ("VM", [left.vm], [right.vm]),
        ("VBD", left.vbds, right.vbds),
        ("VIF", left.vifs, right.vifs),
        ("VDI", left.vdis, right.vdis),
        ("VTPM", left.vtpms, right.vtpms),
    ]
    return [
        difference
        for cls, ours, theirs in pairs
        for one, other in zip(ours, theirs, strict=True)
        for difference in unexplained(cls, one, other, _defaults(cls))
    ]


def _defaults(cls: str) -> dict[str, Any]:
    model = datamodel.load()
    return {field.name: datamodel.default_of(field, model.enums) for field in model.classes[cls].fields.values()}


def _refused(pool: Pool) -> list[str]:
    return [call["method"] for call in control(pool, "trace")["calls"] if call["error"] in UNKNOWN]
