"""What a scattered delta brings: 10,000 writes of 4 KiB at random over a disk of 64 GiB.

``python -m bench.delta [--all] [--json]``. What our pass sent, by the target's own count, beside the changed blocks that the pool lists
(64 KiB each); and what a VHD export brings of the same, by the table at its head (``--all``: copied, too, which takes some GiB of room).
"""

import asyncio
import base64
import sys
import time
import uuid
from typing import NamedTuple

from bench.control import ask
from bench.passes import Passes, passes_between
from bench.result import Figure, Goal, Result, figure, tell
from bench.side import Side
from bench.site import connected, site_in_memory
from xo_warmig.disks.climb import USUAL_CONNECTIONS
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, Way
from xo_warmig.model.units import GIB, KIB, MIB
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

SIZE_BYTES = 64 * GIB
WRITES, WRITE_BYTES = 10_000, 4 * KIB
LISTED_BYTES = 64 * KIB


def pools() -> SiteConfig:
    """A guest that writes when it is told to."""
    disk = DiskConfig(size_bytes=SIZE_BYTES, allocated_bytes=64 * MIB)
    guest = GuestConfig(kind="blocks", rate=0, cluster=WRITE_BYTES, changes_state=False)
    vm = VmConfig(name_label="bench", disks=[disk], guest=guest)
    source = PoolConfig(name="source", vms=[vm], nbd_purpose="insecure_nbd")
    return SiteConfig(pools=[source, PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2)])


class Bench(NamedTuple):
    """The two pools, passes between them, and the source's disk."""

    site: Site
    passes: Passes
    disk: str

    async def copy(self, base: str | None, read: str, onto: str, way: Way) -> tuple[int, float]:
        """A pass; the bytes that the target got, and its seconds."""
        plan = DiskPassPlan(
            disk=self.disk,
            read_vdi=read,
            base=base,
            target_vdi=onto,
            virtual_size_bytes=SIZE_BYTES,
            skip_zeros=base is None,
            way=way,
            connections=USUAL_CONNECTIONS,
        )
        target = self.site.pools[1]
        before, begun = (await ask(target, "trace"))["number"], time.monotonic()
        kind = PassKind.FULL if base is None else PassKind.DELTA
        await self.passes.carry_out(PassPlan(number=1, kind=kind, disks=[plan]))
        seconds = time.monotonic() - begun
        passed = (await ask(target, f"trace?since={before}"))["transfers"]
        return sum(each["bytes"] for each in passed if each["name"] == "import_raw_vdi"), seconds


async def measure(*, everything: bool) -> Result:
    """Base, writes, delta."""
    with site_in_memory(pools(), written_bytes=(40 if everything else 4) * GIB) as site:
        vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
        async with connected(site) as directory, passes_between(directory, vm, sr) as passes:
            source, target = await directory.pool_of_vm(vm), await directory.pool_of_sr(sr)
            disk = (await source.read_vm(vm)).disks[0]
            bench = Bench(site, passes, disk.vdi)
            await source.track(disk.vdi)
            base = await source.snapshot_disk(disk.vdi, tag="bench/base", epoch=1)
            copies = [
                await target.create_disk(disk, sr=sr, migration=str(uuid.uuid4()), epoch=1) for _ in (Way.CBT, Way.VHD)
            ]
            for each in copies:
                await bench.copy(None, base, each, Way.NBD)
            await ask(site.pools[0], "guest", vm=vm, write=WRITES * WRITE_BYTES)
            after = await source.snapshot_disk(disk.vdi, tag="bench/after", epoch=1)
            listed, exported = await asyncio.to_thread(offered, site, base, after)
            sent, seconds = await bench.copy(base, after, copies[0], Way.CBT)
            await see_equal(site, after, copies[0])
            figures = {
                "written by the guest": mebibytes(WRITES * WRITE_BYTES),
                "listed as changed": mebibytes(listed),
                "sent": mebibytes(sent),
                "sent / listed": figure([sent / listed], ""),
                "copied in": figure([seconds], "s"),
                "in a VHD export": mebibytes(exported),
                "in a VHD export / listed": figure([exported / listed], ""),
            }
            if everything:
                sent, seconds = await bench.copy(base, after, copies[1], Way.VHD)
                await see_equal(site, after, copies[1])
                figures |= {"sent from a VHD export": mebibytes(sent), "copied from it in": figure([seconds], "s")}
    return Result(name="delta", figures=figures, goals=[Goal(figure="sent / listed", at_most=1.1)])


def offered(site: Site, base: str, after: str) -> tuple[int, int]:
    """The bytes of the blocks that are listed as changed, and those of a VHD export of the same."""
    side = Side(site.pools[0])
    try:
        bitmap = base64.b64decode(side.call("VDI.list_changed_blocks", side.ref(base), side.ref(after)))
        return int.from_bytes(bitmap, "big").bit_count() * LISTED_BYTES, side.vhd_length(after, base)
    finally:
        side.log_out()


async def see_equal(site: Site, snapshot: str, copy: str) -> None:
    """Every block of the disk."""
    hashes = []
    for pool, vdi in zip(site.pools, (snapshot, copy), strict=True):
        found = (await ask(pool, f"state?hash=1&vdi={vdi}"))["vdis"]
        hashes += [each["hash"] for each in found if each["uuid"] == vdi]
    if len(hashes) != 2 or hashes[0] != hashes[1]:
        raise RuntimeError(f"the copy differs from the disk: {hashes}")


def mebibytes(count_bytes: int) -> Figure:
    return figure([count_bytes / MIB], "MiB")


def main() -> int:
    """Run it and tell."""
    arguments = sys.argv[1:]
    return tell(asyncio.run(measure(everything="--all" in arguments)), as_json="--json" in arguments)


if __name__ == "__main__":
    sys.exit(main())
