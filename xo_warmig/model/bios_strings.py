"""A VM's BIOS strings: which are its own, which of those can be set on another pool, and when a host's can stand in for them. Pure.

Sources: ocaml/xapi-consts/constants.ml (generic_bios_strings, settable_vm_bios_string_keys) and ocaml/xapi/xapi_vm_helpers.ml
(assert_valid_bios_strings, copy_bios_strings) of xapi.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from xo_warmig.model.api_versions import OF_7_3, OF_8_1, ApiVersion

SETTABLE_SINCE: Final = OF_7_3
"""Of the API (7.3): before, a VM has generic ones or those of a host of its pool."""
_BASEBOARD_SINCE: Final = OF_8_1

_GENERIC: Final = {"bios-vendor": "Xen", "system-manufacturer": "Xen", "system-product-name": "HVM domU"}
_SETTABLE: Final = frozenset(
    {
        "bios-vendor",
        "bios-version",
        "system-manufacturer",
        "system-product-name",
        "system-version",
        "system-serial-number",
        "baseboard-manufacturer",
        "baseboard-product-name",
        "baseboard-version",
        "baseboard-serial-number",
        "baseboard-asset-tag",
        "baseboard-location-in-chassis",
        "enclosure-asset-tag",
    }
)
# What licences that are bound to a maker of hardware look for.
_OF_THE_MAKER: Final = ("bios-vendor", "system-manufacturer")
# XAPI's own, which every VM has: its name, and a hash by which Windows knows that it is certified there.
_FIXED_GENERIC: Final = ("Xen", "MS_VM_CERT/SHA1/")
_LONGEST: Final = 512


class BiosStrings(NamedTuple):
    """Those of its own that a VM has. ``fixed``: keys of those that no pool lets one set."""

    settable: dict[str, str]
    fixed: list[str]


def own_bios_strings(strings: Mapping[str, str]) -> BiosStrings:
    """What is not as every VM has it, whatever else is generic: one may have nothing of its own but a serial number."""
    own = {key: text for key, text in strings.items() if text and text != _GENERIC.get(key)}
    settable = {key: text for key, text in own.items() if key in _SETTABLE and _is_valid(text)}
    fixed = sorted(key for key, text in own.items() if key not in settable and not text.startswith(_FIXED_GENERIC))
    return BiosStrings(settable, fixed)


def settable_there(own: Mapping[str, str], api_version: ApiVersion) -> dict[str, str]:
    """Of those that can be set, the ones that a pool of this version takes: it refuses all of them for one that it does not know."""
    if api_version < SETTABLE_SINCE:
        return {}
    new = api_version >= _BASEBOARD_SINCE
    return {key: text for key, text in own.items() if new or not key.startswith("baseboard-")}


def standing_in(own: Mapping[str, str], hosts: Mapping[str, Mapping[str, str]]) -> str | None:
    """Of hosts by what names them, with their strings, the one most like the VM; None where none is of the same maker."""
    alike = {
        name: sum(strings.get(key) == text for key, text in own.items())
        for name, strings in hosts.items()
        if all(own.get(key, "") and strings.get(key) == own[key] for key in _OF_THE_MAKER)
    }
    return max(sorted(alike), key=alike.__getitem__, default=None)


def _is_valid(text: str) -> bool:
    return len(text) <= _LONGEST and text.isascii() and text.isprintable()
