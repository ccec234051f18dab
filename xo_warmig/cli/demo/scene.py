"""The site that the demonstration plays on: an Intel pool with a working VM, and an AMD pool without any."""

import shutil

from xo_warmig.model.units import MIB
from xo_warmig.simulator.delays import REAL
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

DISK_BYTES = 512 * MIB
FILE_SYSTEM_BYTES = 128 * MIB
GUEST_RATE = 4 * MIB
FIRST_FILES_BYTES = 24 * MIB
BANDWIDTH = 60 * MIB
TARGET_DOWNTIME_SECONDS = 4.0
TOOLS = ("mke2fs", "debugfs", "e2fsck")
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def missing_tools() -> list[str]:
    """The programs of e2fsprogs that are not installed."""
    return [tool for tool in TOOLS if find_tool(tool) is None]


def find_tool(name: str) -> str | None:
    """Where a program is; e2fsprogs are often outside an ordinary user's path."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)


def site(*, files: bool) -> SiteConfig:
    """Two pools with the delays of real ones.

    The guest's rate is 0 in the VM's own settings, and set from outside while it runs on the source: so the same guest, started on
    the target, waits until the disks are compared.
    """
    guest = GuestConfig(
        kind="files" if files else "blocks",
        rate=0,
        cluster=MIB,
        span=FILE_SYSTEM_BYTES,
        disks=[0] if files else [0, 1],
    )
    system = DiskConfig(size_bytes=DISK_BYTES, name_label="web-1 system", name_description="ext4")
    data = DiskConfig(size_bytes=DISK_BYTES, allocated_bytes=128 * MIB, name_label="web-1 data")
    vm = VmConfig(name_label="web-1", name_description="A web server", disks=[system, data], guest=guest, tags=["web"])
    intel = PoolConfig(name="intel-pool", cpu_vendor="GenuineIntel", vms=[vm], bandwidth=BANDWIDTH, delays=REAL)
    amd = PoolConfig(name="amd-pool", cpu_vendor="AuthenticAMD", seed=2, bandwidth=BANDWIDTH, delays=REAL)
    return SiteConfig(pools=[intel, amd])
