"""Addresses that a guest told of: ``<device>/ip`` from old agents, several of them with spaces between, and ``<device>/ipv4/<n>`` and
``<device>/ipv6/<n>`` from newer ones, or both for the same.
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType

_KEY: Final = re.compile(r"(\d+)/(?:ip|(ipv[46])/.+)", re.ASCII)
_IPV4: Final = re.compile(r"\d+/ip(?:v4/\d+)?", re.ASCII)
_IPV6: Final = re.compile(r"\d+/ipv6/\d+", re.ASCII)


def addresses(networks: Mapping[str, str]) -> dict[str, str]:
    """Each address once, by ``<device>/ipv4/<n>`` or ``<device>/ipv6/<n>``, n from 0 up."""
    found: dict[str, list[str]] = {}
    for key in sorted(networks):
        named = _KEY.fullmatch(key)
        if named is None:
            continue
        known = found.setdefault(f"{named[1]}/{named[2] or 'ipv4'}", [])
        text = networks[key]
        known += [one for one in ([text.strip()] if named[2] else text.split()) if one and one not in known]
    return {f"{kind}/{n}": address for kind, some in found.items() for n, address in enumerate(some)}


def main_address(networks: Mapping[str, str]) -> str | UnsetType:
    """The first IPv4 address, as the guest wrote it, else the first IPv6 one."""
    for wanted in (_IPV4, _IPV6):
        for key in sorted(networks):
            if wanted.fullmatch(key):
                return networks[key]
    return UNSET
