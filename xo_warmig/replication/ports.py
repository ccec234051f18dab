"""What a migration needs from pools. The adapters in ``xapi`` fit these structurally; ``app`` proves it to the type checker.

All methods are safe to call twice with the same arguments unless they say otherwise: the second call finds what the first made, by
the uuid that was recorded or by ``tag``. Every method may raise ``PoolError`` (the pool refused; ``evidence`` has XAPI's code) and
``PoolUnreachable``. Objects are named by uuid. Cancelling an awaiting task stops the waiting, not always the pool's own work.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from xo_warmig.disks.admission import Tell, nobody
from xo_warmig.disks.reads import DiskLanes
from xo_warmig.disks.streams import ByteSink, ByteSource
from xo_warmig.model.findings import OurObject
from xo_warmig.model.passes import Mark
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


class Export(Protocol):
    """An open reading end of a disk: its VHD stream."""

    @property
    def stream(self) -> ByteSource: ...

    async def finish(self) -> None:
        """After the last byte: the pool's task succeeded and its control domain has let go of the disk. Raises TransferError."""
        ...

    async def abort(self) -> None:
        """Close at once and wait until the control domain has let go (R10). Never raises for a broken connection."""
        ...


class Blocks(Protocol):
    """A disk open for reading by blocks, over NBD: a control domain holds it once for each connection.

    The connections become more and fewer as those of all copies share what a host takes.
    """

    @property
    def lanes(self) -> DiskLanes: ...

    async def finish(self) -> None:
        """After the last block: the connections are closed and the control domain has let go. Raises TransferError."""
        ...

    async def abort(self) -> None:
        """Close at once and wait until the control domain has let go (R10). Never raises for a broken connection."""
        ...


class BlocksTurn(Protocol):
    """The turn of a disk to be read over NBD has come. Nothing is open yet, and while it is not the turn may become others' again."""

    async def wait(self) -> None:
        """Until it is the disk's turn, if it is not any more; right before ``open``. Raises TransferError."""
        ...

    async def open(self) -> Blocks:
        """Not repeatable. Raises TransferError, FormatError: the turn is over."""
        ...

    def give_up(self) -> None:
        """The turn is over, unless the disk was opened. May be called twice."""
        ...


class Import(Protocol):
    """An open writing end of a disk: XAPI's sparse stream. It may stand open and idle before its first byte."""

    @property
    def stream(self) -> ByteSink: ...

    async def finish(self) -> None:
        """After the end marker: the pool's task succeeded, so the bytes are confirmed (R22), and the disk is free.

        Raises TransferError.
        """
        ...

    async def abort(self) -> None:
        """Close at once and wait until the control domain has let go (R10). Never raises for a broken connection."""
        ...


class Pool(Protocol):
    """What both sides can do."""

    @property
    def uuid(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> frozenset[str]:
        """All that a configuration may call it: its uuid, its name, and the hosts that it is reached through."""
        ...

    async def read_vm(self, vm: str) -> Vm:
        """Raises NoSuchObject."""
        ...

    async def read_sr(self, sr: str) -> StorageRepository:
        """Raises NoSuchObject."""
        ...

    async def facts(self) -> PoolFacts:
        """What is known of the pool as a whole. What it does not tell, or refuses to, is left out."""
        ...

    async def against_vtpm_contents(self) -> str:
        """Why what is in a vTPM can neither be read nor written as this server is connected, in words; "" where it can."""
        ...

    async def power_state(self, vm: str) -> PowerState: ...

    async def blocked_operations(self, vm: str) -> dict[str, str]: ...

    async def block_operations(self, vm: str, operations: Mapping[str, str]) -> dict[str, str]:
        """Block each operation with its text; the entries that stood there before and were replaced. Ours are left as they are."""
        ...

    async def unblock_operations(self, vm: str, ours: Mapping[str, str], before: Mapping[str, str]) -> None:
        """Remove our entries where the text is still ours, and put back what stood there before (R1)."""
        ...

    async def attachments(self, vdis: list[str]) -> list[Attachment]:
        """All VBDs on these disks, of any VM, snapshots left out."""
        ...

    async def look(self, vm: str, vdis: Sequence[str]) -> Look:
        """A VM as it stands, and the attachments of these disks: few small calls, for the downtime. Raises NoSuchObject."""
        ...

    async def start_vm(self, vm: str) -> None:
        """Start it; returns when it runs. A VM that runs already is an error (VM_BAD_POWER_STATE)."""
        ...

    async def destroy_disk(self, vdi: str) -> None:
        """Destroy a VDI or snapshot; waits while a control domain still holds it; one that is gone already is success."""
        ...

    async def shut_down(self, vm: str, policy: ShutdownPolicy) -> bool:
        """Stop the VM by the policy and see it Halted; True when it went down cleanly.

        Raises PoolError with code SHUTDOWN_REFUSED or SHUTDOWN_TIMEOUT, and the VM may then still halt later.
        """
        ...

    async def open_export(self, vdi: str, *, base: str | None) -> Export:
        """Open a VHD export of ``vdi``, or of what differs from ``base``. Not repeatable: each call is a new connection."""
        ...

    async def against_nbd(self) -> str:
        """Why the pool serves no disk over NBD, in words; "" when it does."""
        ...

    async def against_blocks(self, vdi: str) -> str:
        """Why the pool does not serve the disk's blocks over NBD, in words; "" when it does."""
        ...

    async def queue_for_blocks(
        self, vdi: str, *, connections: int, most: int, urgent: bool = False, tell: Tell = nobody
    ) -> BlocksTurn:
        """Wait until the disk may be read over NBD by one connection at least; may be cancelled.

        Args:
            connections: it is begun with, where as many are free.
            most: it may have later, where they read faster.
            urgent: a VM is down meanwhile, so it goes before others.
            tell: see ``disks.admission``.

        Raises TransferError.
        """
        ...

    async def release_disk(self, vdi: str) -> None:
        """Take from control domains a disk of ours that a restarted toolstack left attached to them, with nobody writing any more.

        Raises PoolError when a writer still holds it, which the pool says by refusing to detach it (R16).
        """
        ...

    async def snapshot_disk(self, vdi: str, *, tag: str, epoch: int) -> str:
        """``VDI.snapshot``; the snapshot's uuid.

        ``tag`` goes into its other_config with its own uuid (R11); a snapshot that has this tag is found, not made twice.
        """
        ...

    async def tidy_tasks(self) -> None:
        """Clear away the tasks that earlier processes of this server left and nobody works on. Raises nothing."""
        ...

    async def show_task(self, wanted: PoolTask, *, epoch: int) -> str | None:
        """Have the pool show a migration as a task of its own, found again by its description; its uuid.

        None where the release has no way to end one.
        """
        ...

    async def look_at_task(self, task: str, *, progress: float | None) -> TaskSeen:
        """What became of such a task. While it runs it is told the ``progress``, from 0 to 1; None: that is as it was."""
        ...

    async def end_task(self, task: str, end: TaskEnd, *, error: Sequence[str] = ()) -> None:
        """Say how it ended; ``error`` is a code and its parameters. One that is gone is success."""
        ...

    async def drop_task(self, task: str) -> None:
        """Take it away, ended or not. One that is gone is success."""
        ...

    async def our_objects(self) -> list[OurObject]:
        """Every VM, VDI, snapshot and task whose tags are ours and its own (R11), whatever migration it belongs to."""
        ...


class SourcePool(Pool, Protocol):
    """The pool that a VM leaves."""

    async def claim_door(self, vm: str, key: str, *, migration: str) -> None:
        """Put the door key ``<migration>/<epoch>/<random>/<uuid of the VM>`` on the source (R16), and read it back.

        A key of an earlier epoch of the same migration gives way; one of another migration stays.

        Raises ForbiddenOperation with code SOURCE_CLAIMED; ``evidence`` has the other's ``key``.
        """
        ...

    async def release_door(self, vm: str, *, migration: str) -> None:
        """Remove the door key if it is this migration's. A VM that is gone is success."""
        ...

    async def note_moved(self, vm: str, text: str) -> None:
        """Write on a source that is kept where it went (``xo_warmig:moved`` in its other_config). "" removes the note."""
        ...

    async def read_again(self, planned: Vm) -> tuple[Vm, VolatileState]:
        """The VM with what stands in its record now and all else as planned, for ``apply_changes``; and its volatile state.

        Interfaces and drives are read where the record says that one came or went.
        """
        ...

    async def open_qcow2(self, vdi: str) -> Export:
        """Open a full qcow2 export of ``vdi``. Not repeatable: each call is a new connection."""
        ...

    async def is_tracked(self, vdi: str) -> bool:
        """Whether the pool keeps track of the disk's changes (CBT); of a snapshot, whether it is part of such a log."""
        ...

    async def track(self, vdi: str) -> None:
        """Have it keep track. Raises PoolError where licence, storage or disk do not allow it."""
        ...

    async def untrack(self, vdi: str) -> None:
        """Have it stop. A disk that is gone is success."""
        ...

    async def changed_blocks(self, base: str, vdi: str, *, size_bytes: int) -> bytes:
        """What was written to ``vdi``, which must not be attached, since its snapshot ``base``: see ``formats.cbt``.

        Raises PoolError: no log leads from the one to the other. FormatError.
        """
        ...

    async def life_of(self, vm: str) -> Life:
        """Since when a running VM and its host run."""
        ...

    async def written_bytes_per_second(self, vm: str) -> float | None:
        """What a running VM wrote to its disks in the last minutes, as its host measured it; None where that tells nothing.

        Never raises.
        """
        ...

    async def host_lives(self, life: Life) -> bool:
        """Whether the host is still up, and was all the time since."""
        ...

    async def destroy_vm(self, vm: str, vdis: list[str]) -> None:
        """Destroy a halted VM and just these disks (R2). A VM that is gone already is success."""
        ...


class TargetPool(Pool, Protocol):
    """The pool that a VM moves to."""

    async def networks(self) -> list[Network]: ...

    async def twins(self, vm: Vm) -> list[Twin]:
        """The VMs, but those that are this project's own copies, with the same MAC addresses, or the same seed for them."""
        ...

    async def create_vm(self, source: Vm, *, migration: str, epoch: int, blocked: Mapping[str, str]) -> str:
        """Make the target: all of the source's metadata that this pool takes, no disks; the uuid.

        Made as a template, then blocked, then made a VM (R1); HA and auto-power-on off (R13). Found again by the migration's tag.
        """
        ...

    async def create_disk(self, source: Disk, *, sr: str, migration: str, epoch: int) -> str:
        """Make an empty VDI of the source disk's size and names; the uuid. Found again by tag."""
        ...

    async def attach_disk(self, vm: str, vdi: str, source: Disk) -> None:
        """Give the VM a VBD on it, as the source has."""
        ...

    async def create_cd_drive(self, vm: str, source: CdDrive) -> None:
        """Give the VM a CD drive as the source has, empty."""
        ...

    async def remove_vif(self, vm: str, device: str) -> None:
        """Take the VIF at a position from a halted VM that this migration made. One that is gone already is success."""
        ...

    async def remove_cd_drive(self, vm: str, device: str) -> None:
        """Take a CD drive from a halted VM that this migration made. One that is gone already is success."""
        ...

    async def create_vif(self, vm: str, source: Vif, *, network: str) -> None:
        """Give the VM a VIF with the source's device, MAC ("": the pool makes one) and settings, on ``network``."""
        ...

    async def assert_startable(self, vm: str) -> None:
        """See that a live host could start it now, blocked or not. Raises PoolError with what speaks against each host."""
        ...

    async def apply_volatile_state(self, vm: str, state: VolatileState) -> None: ...

    async def apply_changes(self, vm: str, planned: Vm, now: Vm) -> None:
        """Put on the target what the source's record changed between ``planned`` and ``now``, as far as it travels. Target halted."""
        ...

    async def clone_disk(self, vdi: str, source: Disk, *, migration: str, epoch: int) -> str:
        """``VDI.clone`` of a target disk that an old writer does not let go of (R16); the clone's uuid. Found again by tag."""
        ...

    async def detach_disk(self, vm: str, vdi: str) -> None:
        """Take the VBD on a disk from a halted VM that this migration made. One that is gone already is success."""
        ...

    async def image_format(self, vdi: str) -> str:
        """In which format storage keeps a disk (see ``Disk``)."""
        ...

    async def open_import(self, vdi: str) -> Import:
        """Open a sparse import into ``vdi``. Not repeatable: each call is a new connection.

        Raises TransferError: VDI_IN_USE, another writer has it still (R16). SafetyError: a VM has it (R17).
        """
        ...

    async def is_booted(self, vm: str, *, expect_tools: bool) -> bool:
        """Running, and with tools seen where they are expected."""
        ...

    async def was_started(self, vm: str) -> bool:
        """Whether it ever had a domain, or may have had: what the pool remembers of a VM that is halted now."""
        ...

    async def restore_ha(self, vm: str, source: Vm) -> None:
        """HA and auto-power-on as on the source (R13)."""
        ...

    async def allow_caching(self, vm: str, source: Vm) -> None:
        """Let the disks be cached on the host where the source's are. Their next attachment goes by it."""
        ...

    async def set_guest_addresses(self, vm: str, source: Vm) -> None:
        """Have the tools of a running guest set the addresses that the source's pool had them set.

        Raises PoolError: VM_LACKS_FEATURE, they were not seen to be able to, perhaps not yet.
        """
        ...

    async def discard_vm(self, vm: str) -> None:
        """Destroy a halted target that this migration made, without its disks. One that is gone already is success."""
        ...


class AnyPool(SourcePool, TargetPool, Protocol):
    """A pool is either side, by what a migration wants of it."""


class PassBook(Protocol):
    """Where a running pass writes down what must outlive the process. Durable when these return; by source disk."""

    async def pending(self, disk: str, blocks: bytes) -> None:
        """The blocks that this pass is about to write (R18): a bitmap of 2 MiB blocks, the first block in the highest bit."""
        ...

    async def mark(self, disk: str, mark: Mark) -> None:
        """How far the disk is (R22)."""
        ...


class Pools(Protocol):
    """All connected pools."""

    async def connected(self) -> tuple[Sequence[AnyPool], Sequence[str]]:
        """The pools that answer, and the names of configured ones that do not."""
        ...

    async def pool(self, uuid: str) -> AnyPool:
        """A pool by its uuid. Raises PoolUnreachable while no configured server is connected to it."""
        ...

    def news(self) -> asyncio.Event:
        """Set as soon as a pool is connected after this call."""
        ...

    async def pool_of_vm(self, vm: str) -> SourcePool:
        """Raises NoSuchObject, or PoolUnreachable when the pool that had it is down."""
        ...

    async def pool_of_sr(self, sr: str) -> TargetPool:
        """Raises NoSuchObject, or PoolUnreachable when the pool that had it is down."""
        ...
