"""One pool, as the engine uses it: what a migration asks, handed to the module that does it. Fits ``replication.ports``."""

from collections.abc import Mapping, Sequence

import msgspec

from xo_warmig.disks.admission import Tell, nobody
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
from xo_warmig.xapi import (
    attachments,
    blocking,
    changes,
    clearing,
    clones,
    creation,
    disposal,
    door,
    guest_addresses,
    image_formats,
    inventory,
    lives,
    looking,
    metrics,
    pool_facts,
    power,
    reading,
    snapshots,
    storage,
    tracking,
    twins,
    volatile_state,
)
from xo_warmig.xapi.attachments import Owners
from xo_warmig.xapi.connection import Calls, Connection
from xo_warmig.xapi.image_formats import Storages
from xo_warmig.xapi.migration_tasks import MigrationTasks
from xo_warmig.xapi.nbd.blocks import BlockServers, BlocksTurn
from xo_warmig.xapi.records import Origin
from xo_warmig.xapi.streams import SocketSink, SocketSource
from xo_warmig.xapi.transfers import Transfer, Transfers


class Pool:
    """A pool that was connected at least once; its calls raise PoolUnreachable while it is not."""

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self._calls: Calls = connection
        self._origin = origin
        self._owners: Owners = {}
        self._storages: Storages = {}
        self._transfers = Transfers(connection, self._owners, self._storages)
        self._block_servers = BlockServers(connection, self._owners)
        self._tasks = MigrationTasks(connection, origin.api_version)

    @property
    def calls(self) -> Calls:
        """For other questions to the pool than a migration's."""
        return self._calls

    @property
    def uuid(self) -> str:
        return self._origin.pool

    @property
    def name(self) -> str:
        return self._origin.name

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self._origin.pool, self._origin.name, self._connection.pool_name)) | self._connection.hosts

    async def read_vm(self, vm: str) -> Vm:
        return await reading.read_vm(self._calls, self._origin, vm)

    async def power_state(self, vm: str) -> PowerState:
        return await reading.read_power_state(self._calls, vm)

    async def blocked_operations(self, vm: str) -> dict[str, str]:
        return await blocking.read_blocked(self._calls, vm)

    async def block_operations(self, vm: str, operations: Mapping[str, str]) -> dict[str, str]:
        return await blocking.block(self._calls, vm, operations)

    async def unblock_operations(self, vm: str, ours: Mapping[str, str], before: Mapping[str, str]) -> None:
        await blocking.unblock(self._calls, vm, ours, before)

    async def attachments(self, vdis: list[str]) -> list[Attachment]:
        return await attachments.read_attachments(self._calls, vdis, self._owners)

    async def look(self, vm: str, vdis: Sequence[str]) -> Look:
        return await looking.look(self._calls, vm, vdis, self._owners)

    async def start_vm(self, vm: str) -> None:
        await power.start_vm(self._calls, vm)

    async def assert_startable(self, vm: str) -> None:
        await power.assert_startable(self._calls, vm)

    async def destroy_disk(self, vdi: str) -> None:
        await disposal.destroy_disk(self._calls, vdi)

    async def release_disk(self, vdi: str) -> None:
        await attachments.release_disk(self._calls, vdi)

    async def tidy_tasks(self) -> None:
        await clearing.clear_left_tasks(self._connection)

    async def show_task(self, wanted: PoolTask, *, epoch: int) -> str | None:
        return await self._tasks.show(wanted, epoch=epoch)

    async def look_at_task(self, task: str, *, progress: float | None) -> TaskSeen:
        return await self._tasks.look(task, progress)

    async def end_task(self, task: str, end: TaskEnd, *, error: Sequence[str] = ()) -> None:
        await self._tasks.end(task, end, error)

    async def drop_task(self, task: str) -> None:
        await self._tasks.drop(task)

    async def our_objects(self) -> list[OurObject]:
        return await inventory.our_objects(self._calls, self._origin)

    async def claim_door(self, vm: str, key: str, *, migration: str) -> None:
        await door.claim_door(self._calls, vm, key, migration=migration)

    async def release_door(self, vm: str, *, migration: str) -> None:
        await door.release_door(self._calls, vm, migration=migration)

    async def note_moved(self, vm: str, text: str) -> None:
        await door.note_moved(self._calls, vm, text)

    async def snapshot_disk(self, vdi: str, *, tag: str, epoch: int) -> str:
        return await snapshots.snapshot_disk(self._calls, vdi, tag=tag, epoch=epoch)

    async def open_export(self, vdi: str, *, base: str | None) -> Transfer[SocketSource]:
        return await self._transfers.open_export(vdi, base=base)

    async def image_format(self, vdi: str) -> str:
        return await image_formats.read_image_format(self._calls, vdi, self._storages)

    async def open_qcow2(self, vdi: str) -> Transfer[SocketSource]:
        return await self._transfers.open_qcow2(vdi)

    async def against_nbd(self) -> str:
        return await self._block_servers.against_all()

    async def against_blocks(self, vdi: str) -> str:
        return await self._block_servers.against(vdi)

    async def queue_for_blocks(
        self, vdi: str, *, connections: int, most: int, urgent: bool = False, tell: Tell = nobody
    ) -> BlocksTurn:
        return await self._block_servers.queue(vdi, connections=connections, most=most, urgent=urgent, tell=tell)

    async def is_tracked(self, vdi: str) -> bool:
        return await tracking.is_tracked(self._calls, vdi)

    async def track(self, vdi: str) -> None:
        await tracking.track(self._calls, vdi)

    async def untrack(self, vdi: str) -> None:
        await tracking.untrack(self._calls, vdi)

    async def changed_blocks(self, base: str, vdi: str, *, size_bytes: int) -> bytes:
        return await tracking.changed_blocks(self._calls, base, vdi, size_bytes=size_bytes)

    async def life_of(self, vm: str) -> Life:
        return await lives.life_of(self._calls, vm)

    async def written_bytes_per_second(self, vm: str) -> float | None:
        return await metrics.written_bytes_per_second(self._connection, vm)

    async def host_lives(self, life: Life) -> bool:
        return await lives.host_lives(self._calls, life)

    async def shut_down(self, vm: str, policy: ShutdownPolicy) -> bool:
        return await power.shut_down(self._calls, vm, policy)

    async def read_again(self, planned: Vm) -> tuple[Vm, VolatileState]:
        return await volatile_state.read_again(self._calls, self._origin, planned)

    async def destroy_vm(self, vm: str, vdis: list[str]) -> None:
        await disposal.destroy_vm(self._calls, vm, vdis)

    async def read_sr(self, sr: str) -> StorageRepository:
        return await storage.read_sr(self._calls, sr)

    async def facts(self) -> PoolFacts:
        found = await pool_facts.read_facts(self._calls)
        return msgspec.structs.replace(found, encryption=self._connection.encryption)

    async def against_vtpm_contents(self) -> str:
        return await volatile_state.against_vtpm_contents(self._calls, self._connection.session)

    async def twins(self, vm: Vm) -> list[Twin]:
        return await twins.read_twins(self._calls, vm)

    async def networks(self) -> list[Network]:
        return await reading.read_networks(self._calls)

    async def create_vm(self, source: Vm, *, migration: str, epoch: int, blocked: Mapping[str, str]) -> str:
        api_version = self._origin.api_version
        return await creation.create_vm(
            self._calls, source, migration=migration, epoch=epoch, blocked=blocked, api_version=api_version
        )

    async def create_disk(self, source: Disk, *, sr: str, migration: str, epoch: int) -> str:
        return await creation.create_disk(self._calls, source, sr=sr, migration=migration, epoch=epoch)

    async def clone_disk(self, vdi: str, source: Disk, *, migration: str, epoch: int) -> str:
        return await clones.clone_disk(self._calls, vdi, source, migration=migration, epoch=epoch)

    async def attach_disk(self, vm: str, vdi: str, source: Disk) -> None:
        await creation.attach_disk(self._calls, vm, vdi, source)

    async def detach_disk(self, vm: str, vdi: str) -> None:
        await disposal.detach_disk(self._calls, vm, vdi)

    async def create_cd_drive(self, vm: str, source: CdDrive) -> None:
        await creation.create_cd_drive(self._calls, vm, source)

    async def remove_vif(self, vm: str, device: str) -> None:
        await disposal.remove_device(self._calls, vm, "VIF", device)

    async def remove_cd_drive(self, vm: str, device: str) -> None:
        await disposal.remove_device(self._calls, vm, "VBD", device)

    async def create_vif(self, vm: str, source: Vif, *, network: str) -> None:
        await creation.create_vif(self._calls, vm, source, network=network)

    async def apply_volatile_state(self, vm: str, state: VolatileState) -> None:
        await volatile_state.apply_volatile_state(self._calls, vm, state)

    async def apply_changes(self, vm: str, planned: Vm, now: Vm) -> None:
        await changes.apply_changes(self._calls, vm, planned, now, api_version=self._origin.api_version)

    async def open_import(self, vdi: str) -> Transfer[SocketSink]:
        return await self._transfers.open_import(vdi)

    async def is_booted(self, vm: str, *, expect_tools: bool) -> bool:
        return await reading.is_booted(self._calls, vm, expect_tools=expect_tools)

    async def was_started(self, vm: str) -> bool:
        return await reading.was_started(self._calls, vm)

    async def restore_ha(self, vm: str, source: Vm) -> None:
        await creation.restore_ha(self._calls, vm, source)

    async def allow_caching(self, vm: str, source: Vm) -> None:
        await creation.allow_caching(self._calls, vm, source)

    async def set_guest_addresses(self, vm: str, source: Vm) -> None:
        await guest_addresses.set_guest_addresses(self._calls, vm, source)

    async def discard_vm(self, vm: str) -> None:
        await disposal.discard_vm(self._calls, vm)
