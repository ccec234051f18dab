"""BIOS strings of VMs: which keys and values may be set, once; and those that a VM gets by itself at its first start."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import at_least

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_SYSTEM = names("bios-vendor bios-version system-manufacturer system-product-name system-version system-serial-number")
_ENCLOSURE = names("enclosure-asset-tag")
_BASEBOARD = names(
    """baseboard-manufacturer baseboard-product-name baseboard-version baseboard-serial-number baseboard-asset-tag
    baseboard-location-in-chassis"""
)
_LONGEST = 512


def generic(release: str) -> dict[str, str]:
    """What every VM without strings of its own gets. The enclosure's came with 7.3, the baseboard's with 8.1."""
    return {
        **dict.fromkeys(_known(release), ""),
        "bios-vendor": "Xen",
        "system-manufacturer": "Xen",
        "system-product-name": "HVM domU",
        "hp-rombios": "",
        "oem-1": "Xen",
        "oem-2": "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d",
    }


def _known(release: str) -> list[str]:
    """The keys that can be set, where any can."""
    later = [(_ENCLOSURE, "7.6"), (_BASEBOARD, "8.2")]
    return [*_SYSTEM, *(key for keys, since in later if at_least(release, since) for key in keys)]


def set_bios_strings(call: "Call", vm: str, value: dict[str, str]) -> None:
    """Only for a VM that has none; what is not given is generic."""
    db = call.pool.db
    with db.lock:
        if db.row("VM", vm)["bios_strings"]:
            raise XapiFailure("VM_BIOS_STRINGS_ALREADY_SET")
        for key, text in value.items():
            _assert_string(key, text, call.pool.release)
        db.set("VM", vm, bios_strings=generic(call.pool.release) | value)


def copy_bios_strings(call: "Call", vm: str, host: str) -> None:
    """Those of a physical host, for licences that look for its vendor; the VM is to run there from now on."""
    db = call.pool.db
    with db.lock:
        if db.row("VM", vm)["bios_strings"]:
            raise XapiFailure("VM_BIOS_STRINGS_ALREADY_SET")
        db.set("VM", vm, bios_strings=db.field("host", host, "bios_strings"), affinity=host)


def _assert_string(key: str, text: str, release: str) -> None:
    if key not in _known(release):
        raise XapiFailure("INVALID_VALUE", key, "Unknown key")
    if not text:
        raise XapiFailure("INVALID_VALUE", key, "Value provided is empty")
    if len(text) > _LONGEST:
        raise XapiFailure("INVALID_VALUE", key, f"{text} has length more than {_LONGEST} characters")
    if not all(" " <= character <= "~" for character in text):
        raise XapiFailure("INVALID_VALUE", key, f"{text} has non-printable ASCII characters")


CALLS = {"VM.set_bios_strings": set_bios_strings, "VM.copy_bios_strings": copy_bios_strings}
