"""Names and numbers of virtual devices: which are valid, which are free, and what a guest calls them."""

import re
from typing import TYPE_CHECKING

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import at_least

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool

LAST_DISK = 254
LAST_DISK_OF_6_5 = 15  # of a guest with drivers
LAST_VIF = 15
_CD_DEVICE = 3
_NAME = re.compile(r"(?:xvd|hd|sd)([a-z]{1,2})\Z")


def disk_number(userdevice: str) -> int | None:
    """The position that ``0``, ``xvda``, ``hda`` or ``sda`` stand for; None when it is no device."""
    if userdevice.isascii() and userdevice.isdecimal():
        number = int(userdevice)
        return number if number <= LAST_DISK + 1 else None
    if (match := _NAME.match(userdevice)) is None:
        return None
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def linux_device(userdevice: str) -> str:
    """What a Linux guest calls the disk: ``xvda`` for 0, ``xvdaa`` for 26."""
    number = disk_number(userdevice)
    if number is None:
        return userdevice
    first, second = divmod(number, 26)
    letters = chr(ord("a") + second)
    return "xvd" + (chr(ord("a") + first - 1) + letters if first else letters)


def used_disks(db: "Database", vm: str) -> set[int]:
    """The positions that VBDs of the VM have."""
    numbers = (
        disk_number(db.row("VBD", vbd)["userdevice"]) for vbd in db.row("VM", vm)["VBDs"] if db.exists("VBD", vbd)
    )
    return {number for number in numbers if number is not None}


def free_disks(pool: "SimPool", vm: str) -> list[str]:
    """What ``VM.get_allowed_VBD_devices`` says."""
    used, last = used_disks(pool.db, vm), last_disk(pool, vm)
    return [str(number) for number in range(last + 1) if number not in used]


def last_disk(pool: "SimPool", vm: str) -> int:
    """The highest position that a disk of the VM can have."""
    if pool.db.row("VM", vm)["is_control_domain"]:
        return LAST_DISK + 1
    return LAST_DISK if at_least(pool.release, "7.1") else LAST_DISK_OF_6_5


def free_device(pool: "SimPool", vm: str, kind: str) -> str:
    """What ``autodetect`` becomes: the first free position, for a CD drive the fourth if it can be had. INVALID_DEVICE when none is."""
    free = free_disks(pool, vm)
    if not free:
        raise XapiFailure("INVALID_DEVICE", "autodetect")
    return str(_CD_DEVICE) if kind == "CD" and str(_CD_DEVICE) in free else free[0]


def settle_userdevice(pool: "SimPool", vm: str, userdevice: str, kind: str) -> str:
    """The userdevice of a new VBD. Raises INVALID_DEVICE, DEVICE_ALREADY_EXISTS."""
    if userdevice == "autodetect":
        return free_device(pool, vm, kind)
    number = disk_number(userdevice)
    if number is None or number > last_disk(pool, vm):
        raise XapiFailure("INVALID_DEVICE", userdevice)
    if number in used_disks(pool.db, vm):
        raise XapiFailure("DEVICE_ALREADY_EXISTS", userdevice)
    return userdevice


def used_vifs(db: "Database", vm: str) -> set[int]:
    """The positions that VIFs of the VM have."""
    devices = (db.row("VIF", vif)["device"] for vif in db.row("VM", vm)["VIFs"] if db.exists("VIF", vif))
    return {int(device) for device in devices if device.isdecimal()}


def last_vif(release: str) -> int:
    """The highest position that an interface can have (reference: xapi.md 4.7)."""
    if at_least(release, "8.3"):
        return LAST_VIF
    return 6 if at_least(release, "7.1") else 3


def free_vifs(pool: "SimPool", vm: str) -> list[str]:
    """What ``VM.get_allowed_VIF_devices`` says."""
    used = used_vifs(pool.db, vm)
    return [str(number) for number in range(last_vif(pool.release) + 1) if number not in used]
