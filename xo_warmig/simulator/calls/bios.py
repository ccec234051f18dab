"""BIOS strings of VMs: which keys and values may be set, once; and those that a VM gets by itself at its first start."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_SETTABLE = names(
    """bios-vendor bios-version system-manufacturer system-product-name system-version system-serial-number baseboard-manufacturer
    baseboard-product-name baseboard-version baseboard-serial-number baseboard-asset-tag baseboard-location-in-chassis enclosure-
    asset-tag"""
)
_LONGEST = 512

GENERIC: Mapping[str, str] = {
    **dict.fromkeys(_SETTABLE, ""),
    "bios-vendor": "Xen",
    "system-manufacturer": "Xen",
    "system-product-name": "HVM domU",
    "hp-rombios": "",
    "oem-1": "Xen",
    "oem-2": "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d",
}
"""What every VM without strings of its own gets."""


def set_bios_strings(call: "Call", vm: str, value: dict[str, str]) -> None:
    """Only for a VM that has none; what is not given is generic."""
    db = call.pool.db
    with db.lock:
        if db.row("VM", vm)["bios_strings"]:
            raise XapiFailure("VM_BIOS_STRINGS_ALREADY_SET")
        for key, text in value.items():
            _assert_string(key, text)
        db.set("VM", vm, bios_strings=dict(GENERIC) | value)


def copy_bios_strings(call: "Call", vm: str, host: str) -> None:
    """Those of a physical host, for licences that look for its vendor."""
    db = call.pool.db
    with db.lock:
        if db.row("VM", vm)["bios_strings"]:
            raise XapiFailure("VM_BIOS_STRINGS_ALREADY_SET")
        db.set("VM", vm, bios_strings=db.field("host", host, "bios_strings"))


def _assert_string(key: str, text: str) -> None:
    if key not in _SETTABLE:
        raise XapiFailure("INVALID_VALUE", key, "Unknown key")
    if not text:
        raise XapiFailure("INVALID_VALUE", key, "Value provided is empty")
    if len(text) > _LONGEST:
        raise XapiFailure("INVALID_VALUE", key, f"{text} has length more than {_LONGEST} characters")
    if not all(" " <= character <= "~" for character in text):
        raise XapiFailure("INVALID_VALUE", key, f"{text} has non-printable ASCII characters")


CALLS = {"VM.set_bios_strings": set_bios_strings, "VM.copy_bios_strings": copy_bios_strings}
