"""Every code that a finding of a plan may have, with what it means and what helps. Codes are stable: clients go by them."""

from typing import Final, NamedTuple

from xo_warmig.model.findings import Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO


class Meaning(NamedTuple):
    """``meaning``: what was found and what follows from it. ``remedy``: "" where nothing has to be done.

    ``force``: of a warning, whether it stops a migration without ``force``: "yes", "where ..." or "no", with the reason where a reader may
    expect it. What costs data although it could be avoided does, and more downtime than the budget by an option of the request. XO's own
    callers cannot give it: of what their calls may meet only an SR that two pools write to does.
    """

    severity: Severity
    meaning: str
    remedy: str = ""
    force: str = "no"


_REQUEST: Final = {
    "BAD_CUTOVER": Meaning(_E, "`cutover` is neither `auto` nor `hold` nor a time", "Give one of these"),
    "CUTOVER_IN_THE_PAST": Meaning(_E, "The time of the cutover is over", "Give a later one, or `auto`"),
    "DELETE_WITHOUT_START": Meaning(
        _E,
        "The source is deleted only after the target was seen to boot, and that is not to be started",
        "Set `startDestinationVm`, or do not delete",
    ),
    "UNKNOWN_DISK": Meaning(_E, "`mapVdisSrs` names something that is no disk of the VM", "Name one of its disks"),
    "UNKNOWN_VIF": Meaning(
        _E, "`mapVifsNetworks` or `macAddresses` names something that is no interface of the VM", "Name one of those"
    ),
    "BAD_MAC_ADDRESS": Meaning(
        _E,
        "An address of `macAddresses` is that of a group, or of nobody",
        "Give one whose first octet is even, or `new`",
    ),
    "MAC_ADDRESS_TWICE": Meaning(
        _E, "By `macAddresses` two interfaces of the VM would have one address", "Give each its own, or `new`"
    ),
    "NO_SUCH_OBJECT": Meaning(_E, "A network of `mapVifsNetworks` is not on the target's pool", "Name one that is"),
    "SR_IN_OTHER_POOL": Meaning(_E, "`mapVdisSrs` names an SR of another pool than `sr`", "All disks go to one pool"),
    "FORCE_NEEDED": Meaning(
        _E, "A warning that costs data or downtime (`needsForce`) was not accepted", "See to it, or set `force`"
    ),
}

_VM: Final = {
    "NOT_A_VM": Meaning(_E, "It is a template, a snapshot or a control domain", "Name a VM"),
    "VM_BAD_POWER_STATE": Meaning(_E, "It is suspended or paused", "Resume it, or shut it down"),
    "OTHER_OPERATION_IN_PROGRESS": Meaning(
        _E,
        "It has an operation in progress that the migration would cross: its power changes, or its disks are copied or replaced",
        "Wait until that has ended",
    ),
    "VM_CHANGING": Meaning(_I, "Its memory, processors or firmware are being set; that is put on the target too"),
    "OPERATION_BLOCKED": Meaning(
        _E,
        "Somebody blocked an operation that the migration needs: the shutdown, or the deletion that was asked for",
        "Remove the block",
    ),
    "OPERATION_BLOCKED_BY_USER": Meaning(
        _W, "Somebody blocked snapshots or migrations; none is needed, and it goes on"
    ),
    "ALREADY_MIGRATED": Meaning(
        _E, "It is the source of a migration that is done", "To take it back, remove its blocked operations"
    ),
    "SOURCE_CLAIMED": Meaning(
        _E,
        "Another server has the VM, or one left its key on it",
        "Find that server; if there is none, remove the key from `other_config`",
    ),
    "NO_GUEST_TOOLS": Meaning(
        _W,
        "It cannot be asked to shut down, and will be powered off: what the guest has not written to its disks is lost, as in a power cut",
        "Install guest tools, or shut it down and migrate it halted",
        force="no: such a guest halts in no other way, and XO's own clients, which cannot give `force`, go by it; "
        "`shutdown.force: never` forbids it",
    ),
    "SHUTDOWN_BY_HAND": Meaning(
        _W,
        "It cannot be asked to shut down and may not be powered off: the cutover fails and is rolled back",
        "Migrate it halted, or allow it",
        force="no: the source runs on as it was",
    ),
    "POWER_NOT_CUT": Meaning(
        _W,
        "`shutdown.force` is `always`, but only changed block tracking tells the last changes of a disk, which needs a clean shutdown: the "
        "VM is asked and not powered off",
        "See that it shuts down when it is asked, or migrate it halted",
        force="no: if it does not go, the source runs on as it was",
    ),
    "ONE_PASS": Meaning(_I, "It is halted, so one pass copies all, and nothing is down that was not"),
    "SNAPSHOTS_STAY": Meaning(_I, "Its snapshots and checkpoints do not travel; they stay with the source"),
    "SOURCE_WILL_BE_KEPT": Meaning(
        _W,
        "It has snapshots, so it is kept although its deletion was asked for",
        "Delete them if they are not wanted",
        force="no: nothing is deleted",
    ),
}

_DISKS: Final = {
    "DISK_SHARABLE": Meaning(_E, "A disk may be used by several VMs at once", "Detach it"),
    "DISK_SHARED": Meaning(_E, "Another VM has a VBD on a disk", "Detach it from one of them"),
    "DISK_RESET_ON_BOOT": Meaning(_E, "A disk is reset at each boot", "Set its `on_boot` to `persist`"),
    "DISK_MISSING": Meaning(_E, "The storage did not find a disk at its last scan", "Repair the storage, scan again"),
    "CHAIN_TOO_LONG": Meaning(
        _E, "A disk's chain of snapshots leaves no room for ours", "Delete snapshots, wait for the coalescing"
    ),
    "CHAIN_NOT_COALESCED": Meaning(
        _I,
        "The storage is behind with coalescing: each snapshot waits for that",
        "Look for lack of space, or a garbage collector that is off",
    ),
    "DISK_BUSY": Meaning(
        _W, "A disk has an operation in progress that may keep it from being read", "Wait for its end"
    ),
    "DISK_READ_ONLY": Meaning(_I, "The VM may only read a disk; it travels, and is attached the same way"),
    "DISK_MARKED_FOR_BACKUPS": Meaning(_I, "A disk's name (`[NOBAK]`, `[NOSNAP]`) keeps it out of backups; it travels"),
    "DISK_TOO_LARGE": Meaning(
        _E, "No VHD can hold a disk, and its pool does not serve it over NBD", "Have it serve NBD"
    ),
    "DISK_TOO_LARGE_FOR_SR": Meaning(_E, "The target's storage makes no disk as large", "Choose one that keeps qcow2"),
    "DISK_TOO_LARGE_FOR_RELEASE": Meaning(
        _E, "The target's release keeps all disks as VHD, which cannot hold one", "Choose a newer pool"
    ),
    "LARGE_DISK_NEEDS_TOOLS": Meaning(
        _E,
        "Only changed block tracking tells the last changes of a disk, which needs a clean shutdown, and there are no guest tools",
        "Install them, or migrate it halted",
    ),
    "SNAPSHOT_NOT_SUPPORTED": Meaning(
        _E,
        "The storage takes no snapshot of a disk, as of raw images, and a running VM's disks are copied from snapshots",
        "Migrate it halted, or move the disk to other storage first",
    ),
    "IMAGE_NEEDS_NBD": Meaning(
        _E,
        "A disk is no VHD (qcow2), so its pool exports no differences of it, and does not serve it over NBD, or `transport` forbids that: "
        "no pass could read what changed",
        "Have the pool serve NBD, or migrate it halted",
    ),
    "IMAGE_NEEDS_TOOLS": Meaning(
        _E,
        "A disk is no VHD (qcow2), so only changed block tracking tells its last changes, which needs a clean shutdown, and there are no "
        "guest tools",
        "Install them, or migrate it halted",
    ),
    "WHOLE_DISK_READ": Meaning(
        _W,
        "Nothing tells what a disk stores, so all of it is read, by us over NBD or by its pool before an export begins",
        force="no: it is read while the source runs",
    ),
    "IMAGE_FORMAT_CHANGES": Meaning(
        _I, "The target keeps a disk in another format (VHD, qcow2); backups by exports may have to begin anew"
    ),
}

_READING: Final = {
    "NBD_NOT_SERVED": Meaning(_E, "`transport` is `nbd`, and the pool does not serve a disk so", "Have it, or `auto`"),
    "NBD_NEEDS_TOOLS": Meaning(
        _E,
        "`transport` is `nbd`, which needs a clean shutdown, and there are no guest tools",
        "Install them, or `auto`",
    ),
    "TRACKING_NEEDED": Meaning(
        _E,
        "Only changed block tracking tells a disk's changes, and licence, storage or format do not allow it",
        "Have them allow it, or migrate the VM halted",
    ),
    "NO_NBD": Meaning(
        _I, "Disks are read from VHD exports, in blocks of 2 MiB, and not over NBD", "Have the pool serve NBD"
    ),
    "NO_TRACKING": Meaning(_I, "Licence or storage do not allow changed block tracking: passes read blocks of 2 MiB"),
    "READ_BACK_NEEDS_NBD": Meaning(
        _E,
        "`verify` is `full`, and the copy of a large disk can be read over NBD alone, which is not served",
        "Have it",
    ),
    "READ_BACK_IN_DOWNTIME": Meaning(
        _W,
        "`verify` is `full`, and without NBD whole disks are read back in the downtime",
        "Have it, or `sample`",
        force="where it takes longer than `targetDowntime`",
    ),
    "NOT_READ_BACK": Meaning(
        _W,
        "Without NBD the copy of a large disk cannot be read back, nor a sample of one that is no VHD",
        "Have the pool serve it",
        force="no: it is copied as any other",
    ),
    "SAMPLE_OF_EXPORT_HEAD": Meaning(_I, "Without NBD a sample is the head of each disk", "Have it, or `full`"),
    "DOWNTIME_OVER_BUDGET": Meaning(
        _W,
        "More downtime is expected than `targetDowntime`, by the figures of `estimate`; it is predicted anew after each pass",
        "Cut over when the guest writes less, raise limits, or use `cutover: hold`",
        force="no: the budget steers the passes and is no promise, figures may be mere usual ones, and `cutover: hold` leaves it to you",
    ),
    "LIMIT_WITHOUT_POOL": Meaning(
        _W,
        "A limit of the configuration names no pool that is connected, so it holds nobody",
        "Name a pool by its uuid, its name or a host that it is reached through",
    ),
    "COPY_REUSED": Meaning(_I, "What an earlier attempt copied of a disk is gone on with"),
    "COPY_NOT_REUSED": Meaning(_I, "What an earlier attempt copied of a disk does not serve"),
}

_STORAGE: Final = {
    "SR_NOT_WRITABLE": Meaning(_E, "An SR holds ISO images, takes no disks, or no host has it attached", "Another SR"),
    "SR_NOT_READABLE": Meaning(_E, "No live host has an SR of the source's disks attached", "Plug it into one"),
    "SR_GOING": Meaning(
        _E,
        "An SR of either side is being detached, forgotten or destroyed",
        "Wait, and plug it again, or choose another SR",
    ),
    "SR_BUSY": Meaning(
        _W,
        "The target's pool lets no disk be made on an SR now: that is waited for, and without it the migration fails before it copies",
        "Wait until what is in progress has ended",
        force="no: it fails while the source runs on",
    ),
    "SAME_SR": Meaning(
        _E,
        "All disks would stay on the SRs that they are on, or both pools have an SR and a disk would stay on it",
        "Choose another SR, for one disk at least (`mapVdisSrs`)",
    ),
    "DISK_STAYS_ON_SR": Meaning(
        _I,
        "Within one pool other disks move, and some are copied within their SR: they take their room twice for a while",
    ),
    "NO_SPACE": Meaning(
        _E,
        "An SR lacks room: on the target for the copy (thick: whole disks) beside what running migrations were promised, on the source "
        "for snapshots; a reserve stays free",
        "Free space, or choose another SR",
    ),
    "SR_OVERCOMMITTED": Meaning(_I, "The disks on a thin SR would not fit it when they were full"),
    "SR_NOT_ZEROED": Meaning(
        _I, "New disks of an SR hold old data, so every zero is sent: all of a disk's size travels"
    ),
    "SR_NOT_EVERYWHERE": Meaning(_W, "A host of the target's pool has an SR not attached", "Plug it there again"),
    "SR_ON_BOTH_POOLS": Meaning(
        _W,
        "Both pools have an SR attached, and neither knows of the other: that costs data",
        "Detach it from one",
        force="yes",
    ),
}

_NETWORKS: Final = {
    "NO_NETWORK_MATCH": Meaning(_E, "No network of the target has the same uuid, or name and VLAN", "Map it"),
    "NETWORK_WITHOUT_INTERFACE": Meaning(_W, "A network of the target leads nowhere out of its host", "Map another"),
    "SMALLER_MTU": Meaning(_W, "A network of the target takes smaller frames than the source's", "Map another"),
    "VIF_LOCKING_RESTRICTED": Meaning(
        _E, "An interface is locked to addresses, which the target's licence does not allow", "Unlock it"
    ),
    "ADDRESSES_SET_LATE": Meaning(
        _I, "The source's pool sets addresses through the guest's tools; the target gets them once its tools run"
    ),
    "ADDRESSES_STAY": Meaning(
        _W,
        "The source's pool sets addresses through the guest's tools, and the target's does not: the guest uses what it remembers itself",
        "See that the guest has them in its own configuration",
    ),
    "MAC_IN_USE": Meaning(
        _W,
        "A VM runs on the target's pool with a MAC address that the target is to have: both lose their network",
        "Shut it down before the start, or give the target another one with `macAddresses`",
        force="no: it costs the network of both, no data",
    ),
    "MAC_OF_HALTED_VM": Meaning(
        _I,
        "A halted VM of the target's pool has a MAC address that the target is to have",
        "Do not start it, or give the target another one with `macAddresses`",
    ),
    "MAC_SEED_IN_USE": Meaning(
        _I,
        "A VM of the target's pool generates its addresses from the same `mac_seed`",
        "Give one another seed; `macAddresses: new` does",
    ),
    "MAC_CHANGES": Meaning(
        _I,
        "The target gets other MAC addresses, as asked: DHCP leases, names of interfaces and licences may go by the old ones",
        "Enter the new ones there, or keep the old ones",
    ),
}

_POOLS: Final = {
    "NO_HOST_CAN_START": Meaning(
        _E,
        "No host of the target can run the VM: none is live and enabled and reaches storage and networks and has the memory, processors "
        "and virtual hardware",
        "See to one of the reasons that are given by host",
    ),
    "NO_HOST_COULD_START": Meaning(_W, "The same where the target is not to be started", "See to it before the start"),
    "NO_HOST_HAS_MEMORY": Meaning(
        _W,
        "No host has the memory free now; asked again before the cutover",
        "Free some",
        force="no: without room it fails before the source is shut down",
    ),
    "LICENCE_FORBIDS_START": Meaning(_E, "The licence of the target's pool lets no VM start", "Do not start it there"),
    "UEFI_NOT_SUPPORTED": Meaning(_E, "The VM boots by UEFI, and the target is older than 8.0", "Choose a newer pool"),
    "VTPM_NOT_SUPPORTED": Meaning(
        _E, "The VM has a vTPM, and release or licence of the target have none", "Choose another pool, or remove it"
    ),
    "VTPM_NEEDS_ROOT": Meaning(
        _E,
        "The VM has a vTPM, and a pool is connected as an account that may neither read nor write its contents",
        "Connect both pools as root",
    ),
    "VENDOR_DEVICE_RESTRICTED": Meaning(
        _E,
        "The VM has the device for drivers from Windows Update, which the target's licence does not allow",
        "Change the licence, or shut it down and take the device away",
    ),
    "NESTED_VIRT_RESTRICTED": Meaning(
        _E,
        "The VM runs VMs of its own, which the target's licence does not allow: it would not start",
        "Change the licence, or take `nested-virt` out of its platform",
    ),
    "VCPU_TOPOLOGY": Meaning(
        _E,
        "`VCPUs_max` is no multiple of `cores-per-socket`: the target's release (7.0 or later) does not start it",
        "Set `cores-per-socket` to a divisor; the VM may run meanwhile",
    ),
    "NO_SECURE_BOOT_CERTIFICATES": Meaning(
        _W,
        "The VM boots securely, and the target's pool has no certificates: it may not boot",
        "Install them",
        force="no: the source is kept until the target was seen to boot",
    ),
    "SECURE_BOOT_CHANGES": Meaning(
        _W,
        "The VM boots securely where its pool has certificates (`auto`), and one of the pools has some and the other none",
        "Set `secureboot` in its platform to `true` or `false`, or install the certificates",
    ),
    "BIOS_STRINGS_LENT": Meaning(
        _I,
        "The target is older than 7.3, where no BIOS strings can be set: a host of the same maker lends its own, and is where it starts",
    ),
    "BIOS_STRINGS_LOST": Meaning(
        _W,
        "BIOS strings of the VM, as its serial number, cannot be set on the target: before 7.3 none, before 8.1 none of the baseboard, and "
        "`oem` and `hp-rombios` nowhere",
        "See what in the guest reads them, or choose a newer pool",
    ),
    "PVH_NOT_SUPPORTED": Meaning(
        _E, "The VM's guest boots as PVH, and the target is older than 8.1", "Choose a newer pool, or convert it"
    ),
    "PV_WITHOUT_PVH": Meaning(
        _W, "The VM's guest is paravirtualised within PVH; the target is older than 7.4 and starts it as plain PV"
    ),
    "PV_GUEST": Meaning(
        _W,
        "The VM is paravirtualised, and the target's release boots no such guest of 32 bits",
        "Convert it",
        force="no: the source is kept until the target was seen to boot",
    ),
    "DEVICE_MODEL_REPLACED": Meaning(
        _I, "The target emulates devices by a newer program than the source: a guest may name some anew"
    ),
    "OLDER_RELEASE": Meaning(
        _W, "The target is older than the source: `lost` in the evidence says what cannot be kept", "Look at the guest"
    ),
    "HA_OFF_ON_TARGET": Meaning(_I, "The VM is protected by HA, which is off on the target's pool"),
    "HA_NEEDS_SHARED_SR": Meaning(_W, "HA restarts the VM, and cannot from storage of one host", "Choose a shared SR"),
    "POOL_UPGRADING": Meaning(_W, "A rolling upgrade of a pool is under way", "Wait until it has ended"),
    "CLOCK_SKEW": Meaning(_W, "A pool's clock is a minute or more off this server's", "Have its hosts keep time"),
}

_ENCRYPTION: Final = {
    "POOL_IN_CLEAR": Meaning(
        _W,
        "A pool is spoken to over plain HTTP: whoever is on the way can read its password and its disks, and change what is sent",
        "Add it with `https://`",
    ),
    "NBD_IN_CLEAR": Meaning(
        _W,
        "A pool serves disks over NBD without encryption: whoever is on the way can read them, and change what is copied",
        "Give its network the purpose `nbd` instead of `insecure_nbd`, or choose `transport: vhd` and `verify: none`",
    ),
    "OLD_TLS": Meaning(
        _W,
        "A pool speaks TLS 1.1 or older, which have known attacks: whoever is on the way may come to read its password and its disks",
        "Keep the way to it on a network of its own, change its password when all is moved",
    ),
    "NO_FORWARD_SECRECY": Meaning(
        _W,
        "A pool's hosts agree on keys by RSA alone: whoever records the connection and gets a host's private key later can read it then",
        "Keep the way to it on a network of its own, destroy the keys with the hosts",
    ),
    "WEAK_HOST_KEY": Meaning(
        _W,
        "The key in a host's certificate is so short that it can be computed: whoever has done that can pose as the pool, and read what "
        "has no forward secrecy",
        "Install a certificate with a key of 2048 bits or more",
    ),
    "WEAK_CERTIFICATE_SIGNATURE": Meaning(
        _W,
        "A host's certificate was signed with SHA-1 or MD5, which can be forged; this server goes by the pinned fingerprint (SHA-256), "
        "other clients may not",
        "Install a certificate that is signed with SHA-256",
    ),
}

_DEVICES: Final = {
    "DISK_POSITION": Meaning(_E, "A disk or drive has a position that the target's release does not have", "Move it"),
    "VIF_POSITION": Meaning(_E, "An interface has a position that the target's release does not have", "Remove it"),
    "PCI_STAYS": Meaning(
        _W,
        "PCI devices are passed through to it: the target starts without",
        "Give it others",
        force="no: what they store stays where it is, with the source's host",
    ),
    "VGPU_STAYS": Meaning(_W, "It has a virtual GPU: the target starts without", "Give it another"),
    "VUSB_STAYS": Meaning(
        _W,
        "A USB device is passed through to it: the target starts without",
        "Give it another",
        force="no: what it stores stays where it is, with the source's host",
    ),
    "CD_STAYS": Meaning(_W, "What is inserted in its drive does not travel; the target's drive is empty"),
    "AFFINITY_STAYS": Meaning(_I, "It has a home host: the target's pool chooses one"),
    "CPU_MASK_STAYS": Meaning(_I, "It is bound to processors of its host: the target runs on any of its own"),
    "APPLIANCE_STAYS": Meaning(_I, "It is in a vApp: the target is in none"),
    "GROUP_STAYS": Meaning(_I, "It is in a VM group: the target is in none"),
    "SCHEDULE_STAYS": Meaning(_I, "It has a snapshot schedule: the target has none"),
}

SUBJECTS: Final = {
    "The request": _REQUEST,
    "The VM": _VM,
    "Its disks": _DISKS,
    "How they are read, and read back": _READING,
    "Storage": _STORAGE,
    "Networks": _NETWORKS,
    "Pools and hosts": _POOLS,
    "The connections to pools": _ENCRYPTION,
    "Devices": _DEVICES,
}
CODES: Final = {code: meaning for subject in SUBJECTS.values() for code, meaning in subject.items()}
