"""MAC addresses of VIFs: which text is one, and those that XAPI derives from a VM's seed."""

import hashlib
import re

_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\Z")


def is_mac(text: str) -> bool:
    """Six bytes in hexadecimal with colons, not a group address."""
    return _MAC.match(text) is not None and not int(text[:2], 16) & 1


def derive(seed: str, device: int) -> str:
    """The address of a device: two links of an MD5 chain over the seed, as gen_mac of ocaml/xapi/xapi_vif_helpers.ml takes them.

    Locally administered and unicast; the same seed and device always give the same address.
    """
    link = seed.encode()
    for _ in range(2 * device + 1):
        link = hashlib.md5(link, usedforsecurity=False).digest()
    following = hashlib.md5(link, usedforsecurity=False).digest()
    first = (link[0] & 0xFE) | 0x02
    return ":".join(f"{byte:02x}" for byte in (first, *link[1:4], *following[1:3]))
