"""What is known of a VM, its disks and its surroundings on a pool. Values as JSON; identified by uuid, never by opaque reference."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class PowerState(StrEnum):
    """XAPI's own spelling."""

    HALTED = "Halted"
    PAUSED = "Paused"
    RUNNING = "Running"
    SUSPENDED = "Suspended"


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk of a VM: its VDI and the VBD that gives it to the VM."""

    vdi: str
    sr: str
    device: str  # VBD.userdevice, "0", "1", ...
    mode: str  # "RW" or "RO"
    bootable: bool
    unpluggable: bool
    virtual_size_bytes: int
    physical_bytes: int  # VDI.physical_utilisation: an upper estimate of what is allocated
    name_label: str
    name_description: str
    vdi_type: str = "user"
    sharable: bool = False
    read_only: bool = False
    on_boot: str = "persist"
    tags: list[str] = []
    vdi_other_config: dict[str, str] = {}
    vbd_other_config: dict[str, str] = {}
    qos_algorithm_type: str = ""
    qos_algorithm_params: dict[str, str] = {}
    snapshots: list[str] = []  # uuids of VDI snapshots of it
    other_vms: list[str] = []  # uuids of other VMs (no control domain, no snapshot) that have a VBD on it
    chain_depth: int = 0  # images from its own to the root
    unmerged: int = 0  # of those, what the storage has yet to coalesce
    tracked: bool = False  # its changes (CBT)
    image_format: str = ""  # as its storage keeps it: "vhd", "qcow2", "raw"; "" where its pool does not say
    missing: bool = False  # its storage did not find it at the last scan
    current_operations: list[str] = []
    allow_caching: bool = False  # on the host, of what is read


class CdDrive(msgspec.Struct, frozen=True, kw_only=True):
    """A CD drive of a VM; what was inserted does not travel."""

    device: str
    inserted_vdi: str | None = None
    bootable: bool = False


class GuestAddress(msgspec.Struct, frozen=True, kw_only=True):
    """What the pool has a guest's tools set as the address of an interface. ``mode``: "None", the guest decides, or "Static".

    ``address`` has its prefix length: ``192.0.2.7/24``.
    """

    mode: str = "None"
    address: str = ""
    gateway: str = ""


class Vif(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface of a VM."""

    uuid: str
    device: str
    mac: str
    mtu: int
    network: str
    locking_mode: str = "network_default"
    ipv4_allowed: list[str] = []
    ipv6_allowed: list[str] = []
    ipv4: GuestAddress = GuestAddress()
    ipv6: GuestAddress = GuestAddress()
    other_config: dict[str, str] = {}
    qos_algorithm_type: str = ""
    qos_algorithm_params: dict[str, str] = {}

    @property
    def is_locked(self) -> bool:
        """Whether XAPI asks a licence for it: ocaml/xapi/xapi_vif_helpers.ml (create)."""
        return self.locking_mode == "locked" or bool(self.ipv4_allowed or self.ipv6_allowed)

    @property
    def is_addressed(self) -> bool:
        """Whether the pool sets an address of the guest's."""
        return self.ipv4.mode != "None" or self.ipv6.mode != "None"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network of a pool. ``vlan`` is that of its first PIF, -1 when untagged, None without a PIF. ``mtu`` None: not told."""

    uuid: str
    name_label: str
    vlan: int | None
    mtu: int | None = None


class StorageRepository(msgspec.Struct, frozen=True, kw_only=True):
    """An SR. ``plugged``: some live host has its PBD attached. ``thin``: its driver allocates as data is written.

    ``most_disk_bytes``: the largest disk that it makes, None where its pool does not say. ``image_formats``: in which it makes disks, the
    preferred one first; none where its pool does not say.
    """

    uuid: str
    name_label: str
    type: str
    content_type: str
    physical_size_bytes: int
    free_bytes: int
    plugged: bool
    shared: bool
    thin: bool
    reads_as_zero: bool = True  # a new VDI of it reads as zeros
    allows_create: bool = True
    most_disk_bytes: int | None = None
    tracks_changes: bool | None = None  # whether its driver can (CBT); None: the pool does not say
    takes_snapshots: bool | None = None  # whether it can of its disks; None: the pool does not say
    image_formats: list[str] = []
    allocated_bytes: int | None = None  # the virtual sizes of all that is on it
    current_operations: list[str] = []
    allowed_operations: list[str] = []  # empty: the pool does not say, or allows none beside a current one


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """How a VM is built, as far as a pool may not be able to build it. ``memory_start_bytes``: the least that it starts with.

    ``bios_strings``: those of its own that can be set; ``fixed_bios_strings``: keys of those that can only be a host's.
    ``cores_per_socket`` and ``device_model`` as the platform has them, "" where it has none.
    """

    firmware: str = "bios"
    secure_boot: bool = False
    secure_boot_auto: bool = False  # by what the pool has
    domain_type: str = ""  # "hvm", "pv", ...; "" when unknown
    hardware_version: int = 0
    memory_start_bytes: int = 0
    vcpus: int = 0
    cores_per_socket: str = ""
    device_model: str = ""
    nested_virt: bool = False
    bios_strings: dict[str, str] = {}
    fixed_bios_strings: list[str] = []
    vendor_device: bool = False


class Ties(msgspec.Struct, frozen=True, kw_only=True):
    """What ties a VM to its host or its pool, and so stays behind. ``pci``: devices that are passed through to it.

    ``cpu_mask``: the host's processors that it may run on, "" for all.
    """

    pci: list[str] = []
    cpu_mask: str = ""
    vgpus: int = 0
    vusbs: int = 0
    affinity: bool = False
    appliance: bool = False
    groups: int = 0
    snapshot_schedule: bool = False


class Vm(msgspec.Struct, frozen=True, kw_only=True):
    """A VM with everything that a migration reads from its source pool.

    ``metadata`` is the VM's record as JSON values, as the pool gave it, for the pool adapter that creates the target from it: no
    other code looks inside.
    """

    uuid: str
    pool: str  # uuid
    pool_name: str
    name_label: str
    power_state: PowerState
    is_a_template: bool
    is_a_snapshot: bool
    is_control_domain: bool
    current_operations: list[str]
    blocked_operations: dict[str, str]
    tools: bool  # guest tools seen, so that a clean shutdown can be expected
    ha_restart_priority: str
    auto_poweron: bool
    memory_static_max_bytes: int
    other_config: dict[str, str]
    disks: list[Disk]
    cd_drives: list[CdDrive]
    vifs: list[Vif]
    networks: dict[str, Network]  # by uuid, those of its VIFs
    snapshots: list[str]  # VM snapshots, by uuid
    suspend_vdi: str | None = None
    vtpms: int = 0
    vtpm_is_unique: bool = False  # its contents are never to be in two places
    checkpoints: list[str] = []  # those of its snapshots that hold memory
    build: Build = Build()
    ties: Ties = Ties()
    metadata: dict[str, Any] = {}


class VolatileState(msgspec.Struct, frozen=True, kw_only=True):
    """What a VM changes of itself while it runs, read again once it is Halted and put on the target before it starts."""

    nvram: dict[str, str] = {}
    time_offset: str | None = None  # platform.timeoffset
    vtpm_contents: str | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A VBD on a disk. ``plugged`` covers reserved ones."""

    vdi: str
    vm: str
    is_control_domain: bool
    mode: str
    plugged: bool


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A VM as it stands at this moment, for what is checked between the steps of a cutover: as little as that needs."""

    uuid: str
    power_state: PowerState
    current_operations: list[str]
    blocked_operations: dict[str, str]
    other_config: dict[str, str]
    disks: dict[str, int]  # its own: virtual sizes in bytes, by uuid of the VDI
    attachments: list[Attachment]  # of the disks that were asked for, its own or not


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a VM runs, on which host, and since when that one does; in the pool's own words, to be compared for equality only.

    While it stays the same, no host crashed under the VM: what the pool wrote down of its disks can be believed (R21).
    """

    host: str  # uuid
    host_booted: str
    vm_started: str


class VmChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed. ``blocked_operations``: the reason by operation; None allows it."""

    name_label: str | UnsetType = UNSET
    name_description: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    auto_poweron: bool | UnsetType = UNSET
    blocked_operations: dict[str, str | None] = {}
