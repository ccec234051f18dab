"""A pool in memory behind the ports of ``replication``: VMs as records, disks as blocks with the moment of their last write."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from xo_warmig.errors import ForbiddenOperation, NoSuchObject, PoolError, PoolUnreachable, SafetyError, TransferError
from xo_warmig.formats.cbt import from_extents
from xo_warmig.model.extents import Extent
from xo_warmig.model.findings import OurObject
from xo_warmig.model.pool_tasks import PoolTask, TaskEnd, TaskSeen
from xo_warmig.model.pools import PoolFacts, Twin
from xo_warmig.model.requests import ShutdownPolicy
from xo_warmig.model.vm import (
    Attachment,
    CdDrive,
    Disk,
    Life,
    Look,
    Network,
    PowerState,
    StorageRepository,
    Vif,
    Vm,
    VolatileState,
)
from xo_warmig.replication.exports import exports_of
from xo_warmig.replication.ports import AnyPool
from xo_warmig.replication.preflight import DOOR

if TYPE_CHECKING:
    from tests.engine.world import World

BLOCK = 2 * 1024 * 1024


class FakeVdi:
    """Blocks with the moment of their last write; a snapshot remembers the moment it was taken."""

    def __init__(self, uuid: str, size: int, sr: str) -> None:
        self.uuid, self.size, self.sr = uuid, size, sr
        self.blocks: dict[int, tuple[int, int]] = {}  # index -> value, when written
        self.snapshot_of: str | None = None
        self.cloned_from: str | None = None
        self.tag: str | None = None
        self.taken = 0
        self.tracked = False

    def content(self) -> dict[int, int]:
        return {index: value for index, (value, _) in self.blocks.items() if value}


class FakeVm:
    """A VM's record as far as the ports see it."""

    def __init__(self, uuid: str, power: PowerState) -> None:
        self.uuid, self.power = uuid, power
        self.started = False
        self.blocked: dict[str, str] = {}
        self.vdis: list[str] = []
        self.operations: list[str] = []
        self.snapshots: list[str] = []
        self.tag: str | None = None
        self.cd: list[str] = []
        self.vifs: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.cached: list[str] = []
        self.volatile: VolatileState | None = None
        self.tools = True
        self.ha = ""
        self.other_config: dict[str, str] = {}
        self.extra: dict[str, Any] = {}


class FakeTask:
    """A task that shows a migration."""

    def __init__(self, uuid: str, wanted: PoolTask) -> None:
        self.uuid, self.wanted = uuid, wanted
        self.status = "pending"
        self.progress: list[float] = []  # as it grew
        self.cancel_asked = False
        self.error: list[str] = []


class FakeTurn:
    """A turn that comes at once."""

    def __init__(self, pool: Any, vdi: str) -> None:
        self._pool, self._vdi = pool, vdi

    async def wait(self) -> None:
        """It is still there."""

    async def open(self) -> Any:
        return await self._pool.open_blocks(self._vdi)

    def give_up(self) -> None:
        """It holds nothing."""


class FakeEnd:
    """An open transfer: both stream and connection, or the only one of several."""

    def __init__(self, pool: "FakePool", vdi: FakeVdi, side: str, base: FakeVdi | None = None) -> None:
        self.pool, self.vdi, self.side, self.base = pool, vdi, side, base
        self.dead = False
        self.clings = False  # to its disk, whatever became of its client
        since = -1 if base is None else base.taken
        self.blocks = [(index, value) for index, (value, when) in sorted(vdi.blocks.items()) if when > since]
        pool.ends.append(self)
        # Were the answer to get lost, the pool would notice after a while that nobody is there.
        self.lost = asyncio.get_running_loop().call_later(2.0, self.gone)

    def taken_over(self) -> "FakeEnd":
        self.lost.cancel()
        return self

    @property
    def stream(self) -> Any:
        return self

    @property
    def lanes(self) -> Any:
        return self

    def close(self) -> None:
        self.dead = True

    def write(self, index: int, value: int) -> None:
        self.vdi.blocks[index] = (value, next(self.pool.world.moment))

    async def finish(self) -> None:
        async with self.pool.world.call(self.pool.name, f"finish_{'export' if self.side == 'source' else 'import'}"):
            if self.dead:
                raise TransferError("it broke before its end", evidence={"side": self.side})
        self.gone()

    async def abort(self) -> None:
        self.dead = True
        await asyncio.sleep(0.05)  # the control domain takes a moment to let go
        self.gone()

    def gone(self) -> None:
        if self in self.pool.ends and not self.clings:
            self.pool.ends.remove(self)


class FakePool:
    """One pool; fits both ``SourcePool`` and ``TargetPool``."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self._name = world, name
        self.vms: dict[str, FakeVm] = {}
        self.vdis: dict[str, FakeVdi] = {}
        self.ends: list[FakeEnd] = []
        self.foreign: list[Attachment] = []
        self.tasks: dict[str, FakeTask] = {}
        self.shows_tasks = True  # its release can end them
        self.serves_blocks = False  # over NBD
        self.queued: list[bool] = []  # of each disk to be read so, whether it went before others
        self.applied: list[Vm] = []  # as which a source was, that a target was made to follow
        self.refuses_tracking = False
        self.told = PoolFacts()
        self.rate: float | None = None  # at which its hosts say that its VMs write
        self.tells_rate_after = 0.0  # seconds
        self.against_vtpms = ""
        self.keeps_as = ""  # the format of its images
        self.caches = False  # its disks, on their hosts
        self.coalesces_until = 0.0  # by the loop's clock
        self.life = Life(host="host-1", host_booted="0.", vm_started="1")
        self.srs = {
            f"sr-{name}": StorageRepository(
                uuid=f"sr-{name}", name_label=f"disks of {name}", type="ext", content_type="user",
                physical_size_bytes=10_000 * BLOCK, free_bytes=5_000 * BLOCK, plugged=True, shared=False, thin=True,
            )
        }  # fmt: skip

    @property
    def uuid(self) -> str:
        return f"pool-{self._name}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self.uuid, self.name, f"{self.name}.example"))

    def known(self, vm: str) -> FakeVm:
        if vm not in self.vms:
            raise NoSuchObject(f"no VM {vm}", evidence={"id": vm, "type": "VM"})
        return self.vms[vm]

    async def read_vm(self, vm: str) -> Vm:
        async with self.world.call(self._name, "read_vm"):
            return self.record(self.known(vm))
        raise AssertionError

    def record(self, vm: FakeVm) -> Vm:
        fields: dict[str, Any] = {
            "uuid": vm.uuid, "pool": self.uuid, "pool_name": self.name, "name_label": "web", "power_state": vm.power,
            "is_a_template": False, "is_a_snapshot": False, "is_control_domain": False,
            "current_operations": list(vm.operations), "blocked_operations": dict(vm.blocked), "tools": vm.tools,
            "ha_restart_priority": "restart", "auto_poweron": True, "memory_static_max_bytes": 1 << 30,
            "other_config": dict(vm.other_config), "disks": [self.disk(vdi, number) for number, vdi in enumerate(vm.vdis)],
            "cd_drives": [], "networks": {"net-1": Network(uuid="net-1", name_label="lan", vlan=-1)},
            "vifs": [Vif(uuid="vif-1", device="0", mac="00:16:3e:00:00:01", mtu=1500, network="net-1")],
            "snapshots": list(vm.snapshots),
        }  # fmt: skip
        return Vm(**(fields | vm.extra))

    def disk(self, uuid: str, number: int) -> Disk:
        vdi = self.vdis[uuid]
        unmerged = 6 if self.coalesces_until and asyncio.get_running_loop().time() < self.coalesces_until else 0
        return Disk(
            vdi=uuid, sr=vdi.sr, device=str(number), mode="RW", bootable=number == 0, unpluggable=True,
            virtual_size_bytes=vdi.size, physical_bytes=len(vdi.blocks) * BLOCK, name_label=f"disk {number}",
            name_description="", snapshots=[each.uuid for each in self.vdis.values() if each.snapshot_of == uuid],
            other_vms=self.world.other_vms.get(uuid, []), unmerged=unmerged, image_format=self.keeps_as,
            allow_caching=self.caches,
        )  # fmt: skip

    async def read_sr(self, sr: str) -> StorageRepository:
        async with self.world.call(self._name, "read_sr"):
            if sr not in self.srs:
                raise NoSuchObject(f"no SR {sr}", evidence={"id": sr, "type": "SR"})
            return self.srs[sr]
        raise AssertionError

    async def facts(self) -> PoolFacts:
        return self.told

    async def twins(self, vm: Vm) -> list[Twin]:
        return []

    async def networks(self) -> list[Network]:
        async with self.world.call(self._name, "networks"):
            return [Network(uuid=f"net-{self._name}", name_label="lan", vlan=-1)]
        raise AssertionError

    async def power_state(self, vm: str) -> PowerState:
        async with self.world.call(self._name, "power_state"):
            return self.known(vm).power
        raise AssertionError

    async def blocked_operations(self, vm: str) -> dict[str, str]:
        async with self.world.call(self._name, "blocked_operations"):
            return dict(self.known(vm).blocked)
        raise AssertionError

    async def block_operations(self, vm: str, operations: Mapping[str, str]) -> dict[str, str]:
        async with self.world.call(self._name, "block_operations"):
            record = self.known(vm)
            before = {k: v for k, v in record.blocked.items() if k in operations and operations[k] != v}
            record.blocked |= operations
            return before
        raise AssertionError

    async def unblock_operations(self, vm: str, ours: Mapping[str, str], before: Mapping[str, str]) -> None:
        async with self.world.call(self._name, "unblock_operations"):
            record = self.known(vm)
            for operation, text in ours.items():
                if record.blocked.get(operation) == text:
                    del record.blocked[operation]
                    if operation in before:
                        record.blocked[operation] = before[operation]

    async def attachments(self, vdis: list[str]) -> list[Attachment]:
        async with self.world.call(self._name, "attachments"):
            return self.on_disks(vdis)
        raise AssertionError

    def on_disks(self, vdis: Sequence[str]) -> list[Attachment]:
        own = [
            Attachment(vdi=vdi, vm=vm.uuid, is_control_domain=False, mode="RW",
                       plugged=vm.power is PowerState.RUNNING)
            for vm in self.vms.values() for vdi in vm.vdis if vdi in vdis
        ]  # fmt: skip
        dom0 = [
            Attachment(vdi=end.vdi.uuid, vm="dom0", is_control_domain=True, plugged=True,
                       mode="RO" if end.side == "source" else "RW")
            for end in self.ends if end.vdi.uuid in vdis
        ]  # fmt: skip
        return own + dom0 + [each for each in self.foreign if each.vdi in vdis]

    async def look(self, vm: str, vdis: Sequence[str]) -> Look:
        async with self.world.call(self._name, "look"):
            seen = self.record(self.known(vm))
            return Look(
                uuid=vm, power_state=seen.power_state, current_operations=seen.current_operations,
                blocked_operations=seen.blocked_operations, other_config=seen.other_config,
                disks={disk.vdi: disk.virtual_size_bytes for disk in seen.disks}, attachments=self.on_disks(vdis),
            )  # fmt: skip
        raise AssertionError

    async def release_disk(self, vdi: str) -> None:
        async with self.world.call(self._name, "release_disk"):
            if any(end.vdi.uuid == vdi for end in self.ends):
                raise self.world.refusal("DEVICE_DETACH_REJECTED")
            self.foreign = [each for each in self.foreign if each.vdi != vdi or not each.is_control_domain]

    async def start_vm(self, vm: str) -> None:
        async with self.world.call(self._name, "start_vm"):
            record = self.known(vm)
            if "start" in record.blocked:
                raise PoolError("blocked", code="OPERATION_BLOCKED", evidence={"xapi": ["OPERATION_BLOCKED"]})
            if record.power is not PowerState.HALTED:
                raise PoolError("it runs", code="VM_BAD_POWER_STATE", evidence={"xapi": ["VM_BAD_POWER_STATE"]})
            if any(end.vdi.uuid in record.vdis for end in self.ends):
                self.world.violations.append("R10: started while a transfer is open")
            if any(each.vdi in record.vdis and each.plugged for each in self.foreign):
                raise self.world.refusal("SR_BACKEND_FAILURE_46")
            record.power, record.started = PowerState.RUNNING, True
            self.life = msgspec.structs.replace(self.life, vm_started=str(next(self.world.moment)))

    async def destroy_disk(self, vdi: str) -> None:
        async with self.world.call(self._name, "destroy_disk"):
            if any(end.vdi.uuid == vdi for end in self.ends):
                raise self.world.refusal("VDI_IN_USE")
            self.vdis.pop(vdi, None)

    async def snapshot_disk(self, vdi: str, *, tag: str, epoch: int) -> str:
        async with self.world.call(self._name, "snapshot_disk"):
            for each in self.vdis.values():
                if each.tag == tag and each.snapshot_of == vdi:
                    return each.uuid
            snapshot = FakeVdi(f"snap-{next(self.world.ids)}", self.vdis[vdi].size, self.vdis[vdi].sr)
            snapshot.blocks = dict(self.vdis[vdi].blocks)
            snapshot.snapshot_of, snapshot.tag, snapshot.taken = vdi, tag, next(self.world.moment)
            snapshot.tracked = self.vdis[vdi].tracked
            self.vdis[snapshot.uuid] = snapshot
            return snapshot.uuid
        raise AssertionError

    async def open_export(self, vdi: str, *, base: str | None) -> Any:
        async with self.world.call(self._name, "open_export"):
            if base is not None and base not in self.vdis:
                raise self.world.refusal("HANDLE_INVALID")
            if base is not None and exports_of(0, self.keeps_as).delta:
                raise TransferError("Cannot compute differences on non-VHD images", code="NO_DIFFERENCES_EXPORTED")
            end = self._reading(vdi, None if base is None else self.vdis[base])
        return end.taken_over()

    def _reading(self, vdi: str, base: FakeVdi | None = None) -> FakeEnd:
        if vdi in self.world.vm.vdis and self.world.vm.power is not PowerState.HALTED:
            self.world.violations.append("R3: the disk of a VM that is not halted is read")
        self._settle(vdi)
        return FakeEnd(self, self.vdis[vdi], "source", base)

    async def image_format(self, vdi: str) -> str:
        async with self.world.call(self._name, "image_format"):
            return self.keeps_as
        raise AssertionError

    async def open_qcow2(self, vdi: str) -> Any:
        async with self.world.call(self._name, "open_qcow2"):
            end = self._reading(vdi)
        return end.taken_over()

    async def against_nbd(self) -> str:
        async with self.world.call(self._name, "against_nbd"):
            return "" if self.serves_blocks else "no network serves it"
        raise AssertionError

    async def against_vtpm_contents(self) -> str:
        async with self.world.call(self._name, "against_vtpm_contents"):
            return self.against_vtpms
        raise AssertionError

    async def against_blocks(self, vdi: str) -> str:
        async with self.world.call(self._name, "against_blocks"):
            return "" if self.serves_blocks else "no network serves it"
        raise AssertionError

    async def is_tracked(self, vdi: str) -> bool:
        async with self.world.call(self._name, "is_tracked"):
            return self.vdis[vdi].tracked
        raise AssertionError

    async def track(self, vdi: str) -> None:
        async with self.world.call(self._name, "track"):
            if self.refuses_tracking:
                raise self.world.refusal("LICENCE_RESTRICTION")
            self.vdis[vdi].tracked = True

    async def untrack(self, vdi: str) -> None:
        async with self.world.call(self._name, "untrack"):
            if vdi in self.vdis:
                self.vdis[vdi].tracked = False

    async def changed_blocks(self, base: str, vdi: str, *, size_bytes: int) -> bytes:
        async with self.world.call(self._name, "changed_blocks"):
            known = [self.vdis.get(base), self.vdis[vdi]]
            if not all(each is not None and each.tracked for each in known):
                raise self.world.refusal("SR_BACKEND_FAILURE_460")
            if any(end.vdi.uuid == vdi for end in self.ends):
                raise self.world.refusal("VDI_IN_USE")
            since = self.vdis[base].taken
            changed = [index for index, (_, when) in sorted(self.vdis[vdi].blocks.items()) if when > since]
            return from_extents((Extent(index * BLOCK, 1) for index in changed), size_bytes)
        raise AssertionError

    async def queue_for_blocks(self, vdi: str, *, urgent: bool = False, **named: Any) -> Any:
        self.queued.append(urgent)
        return FakeTurn(self, vdi)

    async def open_blocks(self, vdi: str) -> Any:
        async with self.world.call(self._name, "open_blocks"):
            if not self.serves_blocks:
                raise TransferError("nobody serves it", code="NBD_NOT_SERVED")
            if any(end.vdi.uuid == vdi for end in self.ends):
                self.world.violations.append("R10: a disk is opened before what read it has let go")
            end = self._reading(vdi)
        return end.taken_over()

    async def life_of(self, vm: str) -> Life:
        async with self.world.call(self._name, "life_of"):
            return self.life
        raise AssertionError

    async def written_bytes_per_second(self, vm: str) -> float | None:
        await asyncio.sleep(self.tells_rate_after)
        return self.rate

    async def host_lives(self, life: Life) -> bool:
        async with self.world.call(self._name, "host_lives"):
            return life == self.life
        raise AssertionError

    async def shut_down(self, vm: str, policy: ShutdownPolicy) -> bool:
        async with self.world.call(self._name, "shut_down"):
            record = self.known(vm)
            record.operations.append("clean_shutdown")
            # The pool goes on by itself when nobody waits any more.
            halting = asyncio.ensure_future(self._halt(record))
            self.world.background.add(halting)
            await asyncio.shield(halting)
            return True
        raise AssertionError

    async def _halt(self, record: FakeVm) -> None:
        await asyncio.sleep(self.world.shutdown_seconds)
        record.power = PowerState.HALTED
        record.operations.remove("clean_shutdown")

    async def claim_door(self, vm: str, key: str, *, migration: str) -> None:
        async with self.world.call(self._name, "claim_door"):
            there = self.known(vm).other_config.get(DOOR)
            if there is not None and there.partition("/")[0] != migration:
                raise ForbiddenOperation("another server has it", code="SOURCE_CLAIMED", evidence={"key": there})
            self.known(vm).other_config[DOOR] = key

    async def release_door(self, vm: str, *, migration: str) -> None:
        async with self.world.call(self._name, "release_door"):
            found = self.vms.get(vm)
            if found is not None and found.other_config.get(DOOR, "").partition("/")[0] == migration:
                del found.other_config[DOOR]

    async def note_moved(self, vm: str, text: str) -> None:
        async with self.world.call(self._name, "note_moved"):
            self.known(vm).other_config["xo_warmig:moved"] = text

    async def apply_changes(self, vm: str, planned: Vm, now: Vm) -> None:
        async with self.world.call(self._name, "apply_changes"):
            self.known(vm)
            self.applied.append(now)

    async def clone_disk(self, vdi: str, source: Disk, *, migration: str, epoch: int) -> str:
        async with self.world.call(self._name, "clone_disk"):
            for each in self.vdis.values():
                if each.cloned_from == vdi:
                    return each.uuid
            made = FakeVdi(f"clone-{next(self.world.ids)}", self.vdis[vdi].size, self.vdis[vdi].sr)
            made.cloned_from = vdi
            made.tag, made.blocks = f"{migration}/{source.vdi}", dict(self.vdis[vdi].blocks)
            self.vdis[made.uuid] = made
            return made.uuid
        raise AssertionError

    async def detach_disk(self, vm: str, vdi: str) -> None:
        async with self.world.call(self._name, "detach_disk"):
            found = self.known(vm)
            found.vdis = [each for each in found.vdis if each != vdi]

    async def tidy_tasks(self) -> None:
        async with self.world.call(self._name, "tidy_tasks"):
            self.left_tasks = 0

    async def show_task(self, wanted: PoolTask, *, epoch: int) -> str | None:
        async with self.world.call(self._name, "show_task"):
            if not self.shows_tasks:
                return None
            for task in self.tasks.values():
                if task.wanted.description == wanted.description and task.status == "pending":
                    return task.uuid
            made = FakeTask(f"task-{next(self.world.ids)}", wanted)
            self.tasks[made.uuid] = made
            return made.uuid
        raise AssertionError

    async def look_at_task(self, task: str, *, progress: float | None) -> TaskSeen:
        async with self.world.call(self._name, "look_at_task"):
            found = self.tasks.get(task)
            if found is None or found.status != "pending":
                return TaskSeen.GONE
            if progress is not None:
                found.progress.append(progress)
            return TaskSeen.CANCEL_ASKED if found.cancel_asked else TaskSeen.RUNNING
        raise AssertionError

    async def end_task(self, task: str, end: TaskEnd, *, error: Sequence[str] = ()) -> None:
        async with self.world.call(self._name, "end_task"):
            if task in self.tasks:
                self.tasks[task].status, self.tasks[task].error = str(end), list(error)

    async def drop_task(self, task: str) -> None:
        async with self.world.call(self._name, "drop_task"):
            self.tasks.pop(task, None)

    async def our_objects(self) -> list[OurObject]:
        async with self.world.call(self._name, "our_objects"):
            vms = [("vm", vm.uuid, vm.tag) for vm in self.vms.values() if vm.tag is not None]
            vdis = [
                ("snapshot" if vdi.snapshot_of else "vdi", vdi.uuid, vdi.tag)
                for vdi in self.vdis.values()
                if vdi.tag is not None
            ]
            tasks = [("task", task.uuid, task.wanted.migration) for task in self.tasks.values()]
            return [
                OurObject(
                    pool=self.uuid, pool_name=self.name, kind=kind, uuid=uuid, name_label=uuid,
                    migration=tag.partition("/")[0], role=kind,
                )
                for kind, uuid, tag in [*vms, *vdis, *tasks]
            ]  # fmt: skip
        raise AssertionError

    async def read_again(self, planned: Vm) -> tuple[Vm, VolatileState]:
        async with self.world.call(self._name, "read_again"):
            return self.record(self.known(planned.uuid)), VolatileState(time_offset="42")
        raise AssertionError

    async def destroy_vm(self, vm: str, vdis: list[str]) -> None:
        async with self.world.call(self._name, "destroy_vm"):
            if vm in self.vms and "destroy" in self.vms[vm].blocked:
                raise self.world.refusal("OPERATION_BLOCKED")
            self.vms.pop(vm, None)
            for vdi in vdis:
                self.vdis.pop(vdi, None)

    async def create_vm(self, source: Vm, *, migration: str, epoch: int, blocked: Mapping[str, str]) -> str:
        async with self.world.call(self._name, "create_vm"):
            for vm in self.vms.values():
                if vm.tag == migration:
                    return vm.uuid
            made = FakeVm(f"target-{next(self.world.ids)}", PowerState.HALTED)
            made.tag, made.blocked = migration, dict(blocked)
            self.vms[made.uuid] = made
            return made.uuid
        raise AssertionError

    async def create_disk(self, source: Disk, *, sr: str, migration: str, epoch: int) -> str:
        async with self.world.call(self._name, "create_disk"):
            tag = f"{migration}/{source.vdi}"
            for vdi in self.vdis.values():
                if vdi.tag == tag:
                    return vdi.uuid
            made = FakeVdi(f"copy-{next(self.world.ids)}", source.virtual_size_bytes, sr)
            made.tag = tag
            self.vdis[made.uuid] = made
            return made.uuid
        raise AssertionError

    async def attach_disk(self, vm: str, vdi: str, source: Disk) -> None:
        async with self.world.call(self._name, "attach_disk"):
            if vdi not in self.known(vm).vdis:
                self.known(vm).vdis.append(vdi)

    async def create_cd_drive(self, vm: str, source: CdDrive) -> None:
        async with self.world.call(self._name, "create_cd_drive"):
            if source.device not in self.known(vm).cd:
                self.known(vm).cd.append(source.device)

    async def remove_vif(self, vm: str, device: str) -> None:
        async with self.world.call(self._name, "remove_vif"):
            self.known(vm).vifs.pop(device, None)

    async def remove_cd_drive(self, vm: str, device: str) -> None:
        async with self.world.call(self._name, "remove_cd_drive"):
            self.known(vm).cd = [each for each in self.known(vm).cd if each != device]

    async def create_vif(self, vm: str, source: Vif, *, network: str) -> None:
        async with self.world.call(self._name, "create_vif"):
            self.known(vm).vifs[source.device] = network

    async def apply_volatile_state(self, vm: str, state: VolatileState) -> None:
        async with self.world.call(self._name, "apply_volatile_state"):
            self.known(vm).volatile = state

    async def open_import(self, vdi: str) -> Any:
        async with self.world.call(self._name, "open_import"):
            if any(vm.power is not PowerState.HALTED for vm in self.vms.values()):
                self.world.violations.append("R17: an import into a target that is not halted")
            self._settle(vdi)
            if any(each.vdi == vdi and each.plugged and not each.is_control_domain for each in self.foreign):
                raise SafetyError(f"a VM has {vdi}", code="TARGET_TOUCHED", evidence={"rule": "R17"})
            end = FakeEnd(self, self.vdis[vdi], "target")
        return end.taken_over()

    def _settle(self, vdi: str) -> None:
        """What an earlier transfer of this process left attached."""
        self.foreign = [each for each in self.foreign if (each.vdi, each.vm) != (vdi, "dom0")]

    async def assert_startable(self, vm: str) -> None:
        async with self.world.call(self._name, "assert_startable"):
            self.known(vm)

    async def is_booted(self, vm: str, *, expect_tools: bool) -> bool:
        async with self.world.call(self._name, "is_booted"):
            return self.known(vm).power is PowerState.RUNNING and self.world.boots
        raise AssertionError

    async def was_started(self, vm: str) -> bool:
        async with self.world.call(self._name, "was_started"):
            return self.known(vm).started
        raise AssertionError

    async def restore_ha(self, vm: str, source: Vm) -> None:
        async with self.world.call(self._name, "restore_ha"):
            self.known(vm).ha = source.ha_restart_priority

    async def allow_caching(self, vm: str, source: Vm) -> None:
        async with self.world.call(self._name, "allow_caching"):
            self.known(vm).cached = [disk.device for disk in source.disks if disk.allow_caching]

    async def set_guest_addresses(self, vm: str, source: Vm) -> None:
        async with self.world.call(self._name, "set_guest_addresses"):
            self.known(vm).addresses = {vif.device: vif.ipv4.address for vif in source.vifs}

    async def discard_vm(self, vm: str) -> None:
        async with self.world.call(self._name, "discard_vm"):
            self.vms.pop(vm, None)


class FakePools:
    """The directory."""

    def __init__(self, world: "World") -> None:
        self.pools: Sequence[FakePool] = (world.source, world.target)
        self.connected_now = asyncio.Event()
        self.world = world

    async def pool_of_vm(self, vm: str) -> FakePool:
        return self.find("VM", vm, lambda pool: vm in pool.vms)

    async def pool_of_sr(self, sr: str) -> FakePool:
        return self.find("SR", sr, lambda pool: sr in pool.srs)

    async def connected(self) -> tuple[list[AnyPool], list[str]]:
        up: list[AnyPool] = [pool for pool in self.pools if pool.name not in self.world.down]
        return up, sorted(self.world.down)

    async def pool(self, uuid: str) -> FakePool:
        return self.find("pool", uuid, lambda pool: pool.uuid == uuid)

    def news(self) -> asyncio.Event:
        return self.connected_now

    def find(self, kind: str, uuid: str, has: Callable[[FakePool], bool]) -> FakePool:
        for pool in self.pools:
            if has(pool):
                if pool.name in self.world.down:
                    raise PoolUnreachable(f"pool {pool.name} does not answer", evidence={"pool": pool.name})
                return pool
        raise NoSuchObject(f"no {kind} {uuid}", evidence={"id": uuid, "type": kind})
