"""What is known of a pool as a whole, for the plan. Values only.

What is None or empty the pool did not tell, as old releases do not; nothing is judged by it.
"""

import msgspec

from xo_warmig.model.api_versions import ApiVersion
from xo_warmig.model.encryption import Encryption


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host of a pool. ``cpus``: logical ones. ``srs``: uuids of those that it has attached, ``srs_unplugged`` of
    those that it should have. ``networks``: uuids of those that it has an interface on.

    ``memory_free_bytes``: what VMs leave now; of ``memory_total_bytes`` the hypervisor itself needs some.
    """

    uuid: str
    name_label: str
    enabled: bool = True
    live: bool = True
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None
    cpus: int | None = None
    capabilities: list[str] = []
    hardware_versions: list[int] = []
    srs: list[str] | None = None
    srs_unplugged: list[str] = []
    networks: list[str] | None = None
    bios_strings: dict[str, str] = {}


class PoolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A pool and its hosts.

    ``api_version`` of XAPI, and ``xapi_version`` of the toolstack, as major and minor. ``restrictions`` of the licence.
    ``upgrading``: a rolling upgrade is under way. ``certificates``: whether it has some for secure boot. ``clock_ahead_seconds`` of its
    master, before this server's. ``srs``: uuids of those storage repositories for disks that a host
    has attached. ``encryption``: of our connection to its master;
    ``nbd_in_clear``: disks are served over NBD, and not over TLS.
    """

    api_version: ApiVersion | None = None
    xapi_version: ApiVersion | None = None
    product: str = ""
    restrictions: dict[str, str] = {}
    ha_enabled: bool | None = None
    upgrading: bool = False
    certificates: bool | None = None
    clock_ahead_seconds: float | None = None
    hosts: list[Host] = []
    srs: list[str] = []
    encryption: Encryption | None = None
    nbd_in_clear: bool = False


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """A VM of the target pool that has a MAC address of the source's, or (``mac`` None) generates them from the same seed."""

    vm: str
    name_label: str
    running: bool
    mac: str | None = None
