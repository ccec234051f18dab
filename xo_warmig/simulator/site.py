"""What a simulated site is asked to be, as data: pools, their hosts, storage and VMs. Nothing here starts anything."""

from pathlib import Path
from typing import Any

import msgspec

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator.release import NEWEST

GIB = 1 << 30
FIRST_WITH_QCOW2 = NEWEST
LARGEST_VHD_BYTES = 2040 * GIB
"""The largest VHD that SM makes (libs/sm/vhdutil.py)."""
LARGEST_QCOW2_BYTES = 16 << 40
"""The largest qcow2 image that it makes, where it has these (drivers/qcow2util.py of XCP-ng)."""


class GuestConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What runs inside a VM; kept as JSON in ``other_config["sim:guest"]`` of the VM.

    ``kind`` is ``none``, ``blocks`` (block writes) or ``files`` (files in a file system). ``rate`` is bytes a second, ``cluster``
    the bytes of one write, ``span`` the bytes from the start of the disk in which writes fall (0: the whole disk), ``disks`` the
    positions of the disks written to.

    ``sets_addresses``: its tools set the addresses that the pool gives its interfaces.

    A guest that writes also changes its VM's own state, unless ``changes_state`` is false: every few seconds, and once more while it
    shuts down, the offset of its clock and, where there are any, its EFI variables and the contents of its vTPM.
    """

    kind: str = "none"
    rate: int = 1 << 20
    cluster: int = 64 << 10
    seed: int = 1
    span: int = 0
    disks: list[int] = msgspec.field(default_factory=lambda: [0])
    ignores_shutdown: bool = False
    changes_state: bool = True
    sets_addresses: bool = False


class DiskConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A disk of a VM. ``allocated_bytes`` of seeded random data are written at creation, or the image at ``image`` is loaded.

    ``data_at``: byte offsets, multiples of 64 KiB, at each of which 64 KiB of seeded random data are written.

    ``sr`` is a position in the pool's storage repositories (0: the default one). ``image_format``: raw, vhd or qcow2, where it is not to
    be the one that the repository takes by itself.
    """

    size_bytes: int = 4 * GIB
    allocated_bytes: int = 0
    data_at: list[int] = msgspec.field(default_factory=list)
    image: str = ""
    sr: int = 0
    image_format: str = ""
    name_label: str = ""
    name_description: str = ""
    mode: str = "RW"
    bootable: bool | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    other_config: dict[str, str] = msgspec.field(default_factory=dict)
    allow_caching: bool = False


class VifConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of a VM, and the address that the pool gives it in the guest: ``192.0.2.7/24``, or "" for none."""

    locking_mode: str = "network_default"
    ipv4_allowed: list[str] = msgspec.field(default_factory=list)
    ipv6_allowed: list[str] = msgspec.field(default_factory=list)
    ipv4_address: str = ""
    ipv4_gateway: str = ""
    other_config: dict[str, str] = msgspec.field(default_factory=dict)


class VmConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A VM. ``kind`` is hvm, or what has no firmware: pv, pv_in_pvh or pvh. ``vifs`` is a number of interfaces, ``interfaces`` what the
    first of them are like; ``tools`` says whether guest tools report in; ``vtpm`` whether it has one, ``vtpm_is_unique`` whether its
    contents are never copied.

    ``dynamic_min_bytes`` of its memory, 0 for all of it. ``fields`` of its record that need nothing of their own here, by XAPI's names.
    """

    name_label: str
    name_description: str = ""
    uuid: str = ""
    memory_bytes: int = 1 * GIB
    vcpus: int = 2
    power_state: str = "Running"
    firmware: str = "bios"
    kind: str = "hvm"
    secure_boot: bool = False
    tools: bool = True
    disks: list[DiskConfig] = msgspec.field(default_factory=lambda: [DiskConfig()])
    cd_drive: bool = True
    vifs: int = 1
    guest: GuestConfig = GuestConfig()
    tags: list[str] = msgspec.field(default_factory=list)
    platform: dict[str, str] = msgspec.field(default_factory=dict)
    other_config: dict[str, str] = msgspec.field(default_factory=dict)
    blocked_operations: dict[str, str] = msgspec.field(default_factory=dict)
    NVRAM: dict[str, str] = msgspec.field(default_factory=dict)
    vtpm: bool = False
    vtpm_is_unique: bool = False
    interfaces: list[VifConfig] = msgspec.field(default_factory=list)
    bios_strings: dict[str, str] = msgspec.field(default_factory=dict)
    dynamic_min_bytes: int = 0
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    xenstore_data: dict[str, str] = msgspec.field(default_factory=dict)


class PoolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A pool. ``addresses`` (one a host) and ``port`` are filled in by the launcher.

    ``delays`` are seconds by name, added to the calls that real pools take long for. ``bandwidth`` is bytes a second of all disk
    transfers together, 0 for no limit; ``latency_seconds`` is the round trip that is added to each of them and to each call: a delay and
    no more, which TCP does not know of, nor its handshake and TLS's. ``nbd_purpose`` is that of the network that all hosts are on: ``nbd``
    (with TLS), ``insecure_nbd`` (without), or none. ``restrictions`` of the licence replace those of the default, which restricts nothing:
    ``{"restrict_cbt": "true"}``. ``superuser``: its account is root of the hosts, else one of a directory with a pool administrator's
    role. ``host_bios_strings``: what its hosts are made by.

    ``sr_type`` of its storage: ext, nfs or file, which are thin, or lvm or lvmoiscsi, which are thick; ``second_sr_type`` of its second
    repository, where it is another. Without ``lvm_vhd`` its volume groups were never upgraded: disks are raw, and hold what was there
    before until they are written.

    ``metrics_step_seconds``: how often its hosts read what guests write; a real one does every 5 s.
    ``legacy_events``: whether it has no ``event.from``, as before 6.1, so that a client has to take what there was before, or poll.

    ``image_formats`` of its storage, the preferred one first, and ``second_image_formats`` of the second repository, where they are others:
    with ``qcow2`` among them, which 8.3 alone has, disks may have up to 16 TiB, and those that no VHD can hold are kept so.
    ``qcow2_export``: whether 8.3 exports disks in that format, as xapi does since 25.27.
    """

    name: str
    cpu_vendor: str = "GenuineIntel"
    release: str = "8.3"
    hosts: int = 1
    host_memory_bytes: int = 64 * GIB
    sr_size_bytes: int = 200 * GIB
    sr_type: str = "ext"
    second_sr_type: str = ""
    lvm_vhd: bool = True
    image_formats: list[str] = msgspec.field(default_factory=lambda: ["vhd"])
    second_image_formats: list[str] = []
    qcow2_export: bool = True
    legacy_events: bool = False
    vms: list[VmConfig] = msgspec.field(default_factory=list)
    username: str = "root"
    password: str = "password"
    superuser: bool = True
    host_bios_strings: dict[str, str] = msgspec.field(default_factory=dict)
    https: bool = False
    addresses: list[str] = msgspec.field(default_factory=list)
    port: int = 0
    seed: int = 1
    bandwidth: int = 0
    latency_seconds: float = 0.0
    nbd_purpose: str = ""
    restrictions: dict[str, str] = msgspec.field(default_factory=dict)
    delays: dict[str, float] = msgspec.field(default_factory=dict)
    gc_delay_seconds: float = 5.0
    session_timeout_seconds: float = 86400.0
    metrics_step_seconds: int = 5

    def __post_init__(self) -> None:
        """Raises InvalidRequest where no such pool could be."""
        if "qcow2" in (*self.image_formats, *self.second_image_formats) and self.release != FIRST_WITH_QCOW2:
            raise InvalidRequest(
                f"a pool of release {self.release} keeps no disks as qcow2", evidence={"pool": self.name}
            )

    @property
    def exports_qcow2(self) -> bool:
        return self.qcow2_export and self.release == FIRST_WITH_QCOW2

    @property
    def scheme(self) -> str:
        return "https" if self.https else "http"

    @property
    def url(self) -> str:
        """Where the pool's master answers."""
        return f"{self.scheme}://{self.addresses[0]}:{self.port}"


def default_vm() -> VmConfig:
    """The VM that pool 0 has unless told otherwise: running, two disks, an empty CD drive, one interface."""
    system = DiskConfig(size_bytes=4 * GIB, allocated_bytes=64 << 20, name_label="web-1 system", name_description="/")
    data = DiskConfig(size_bytes=8 * GIB, allocated_bytes=32 << 20, name_label="web-1 data", name_description="/srv")
    return VmConfig(name_label="web-1", name_description="A web server", disks=[system, data], tags=["web"])


def default_pools() -> list[PoolConfig]:
    """Two pools between whose processors no running VM could move."""
    intel = PoolConfig(name="pool-0", cpu_vendor="GenuineIntel", vms=[default_vm()])
    return [intel, PoolConfig(name="pool-1", cpu_vendor="AuthenticAMD", seed=2)]


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All pools of one simulation. Without a ``directory`` they live in a temporary one that goes with them."""

    pools: list[PoolConfig] = msgspec.field(default_factory=default_pools)
    directory: Path | None = None
