"""The proof: both disks equal byte by byte, the file system sound, every file of the guest there with its contents."""

import asyncio
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from xo_warmig.cli.demo.control import SimulatedPool
from xo_warmig.cli.demo.scene import find_tool
from xo_warmig.errors import PoolError


class FileSystemProof(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``e2fsck``: its exit status on the target's disk. ``files``: those that the guest had written, all compared."""

    e2fsck: int
    files: int
    missing: list[str]
    different: list[str]

    @property
    def holds(self) -> bool:
        return self.e2fsck == 0 and self.files > 0 and not self.missing and not self.different


class Proof(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Hashes by disk, in the order of the devices. ``file_system`` is None when the guest wrote plain blocks."""

    source_sha256: list[str]
    target_sha256: list[str]
    source_power_state: str
    target_power_state: str
    file_system: FileSystemProof | None

    @property
    def equal(self) -> bool:
        return bool(self.source_sha256) and self.source_sha256 == self.target_sha256

    @property
    def holds(self) -> bool:
        return self.equal and (self.file_system is None or self.file_system.holds)


async def prove(source: SimulatedPool, source_vm: str, target: SimulatedPool, target_vm: str, *, files: bool) -> Proof:
    """Compare the halted source with the target, whose guest has not written yet.

    Raises:
        PoolError: the target's guest has written: the comparison would say nothing.
    """
    # The two pools are processes of their own: each hashes while the other does.
    source_hashes, target_hashes = await asyncio.gather(_hashes(source, source_vm), _hashes(target, target_vm))
    file_system = None
    if files:
        written = (await asyncio.to_thread(source.guest, source_vm))["files"]
        disk = (await asyncio.to_thread(target.disks, target_vm))[0]
        file_system = await asyncio.to_thread(_check_file_system, target, disk, written)
    proof = Proof(
        source_sha256=source_hashes,
        target_sha256=target_hashes,
        source_power_state=(await asyncio.to_thread(source.vm, source_vm))["power_state"],
        target_power_state=(await asyncio.to_thread(target.vm, target_vm))["power_state"],
        file_system=file_system,
    )
    await asyncio.to_thread(_must_have_waited, target, target_vm)
    return proof


async def _hashes(pool: SimulatedPool, vm: str) -> list[str]:
    disks = await asyncio.to_thread(pool.disks, vm)
    return [await asyncio.to_thread(pool.sha256, disk) for disk in disks]


def _must_have_waited(target: SimulatedPool, vm: str) -> None:
    if target.guest(vm).get("bytes"):
        raise PoolError("the target's guest wrote before its disks were compared", code="DEMO_SPOILT")


def _check_file_system(pool: SimulatedPool, disk: str, written: list[dict[str, Any]]) -> FileSystemProof:
    with tempfile.TemporaryDirectory(prefix="xo-warmig-demo-") as directory:
        image, found = Path(directory, "disk"), Path(directory, "files")
        found.mkdir()
        pool.save_image(disk, image)
        checked = _run("e2fsck", "-fn", str(image))
        _run("debugfs", "-R", f"rdump / {found}", str(image))
        there = {path.name: _sha256(path) for path in found.iterdir() if path.is_file()}
    return FileSystemProof(
        e2fsck=checked,
        files=len(written),
        missing=[one["name"] for one in written if one["name"] not in there],
        different=[one["name"] for one in written if there.get(one["name"], one["sha256"]) != one["sha256"]],
    )


def _run(tool: str, *arguments: str) -> int:
    program = find_tool(tool) or tool
    return subprocess.run([program, *arguments], capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
