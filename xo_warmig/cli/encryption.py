"""How the way to a pool is protected, in lines for people."""

from typing import Any

import msgspec
from rich.text import Text

from xo_warmig.model.encryption import Encryption, described


def encryption_lines(server: dict[str, Any]) -> list[Text]:
    """Of a server as ``server.getAll`` has it: what was negotiated, its fingerprint, and what is weak; none before it was connected."""
    lines = []
    if (found := server.get("encryption")) is not None:
        lines.append(Text(described(msgspec.convert(found, Encryption)), style="dim"))
    if fingerprint := server.get("fingerprint"):
        lines.append(Text(f"certificate SHA-256 {fingerprint}", style="dim"))
    for weakness in server.get("weaknesses", []):
        lines.append(Text(f"! {weakness['code']}: the pool {weakness['message']}", style="yellow"))
        lines.append(Text(f"→ {weakness['remedy']}"))
    return lines
