"""Reading a pool as a whole: its release, licence and clock, and what its hosts reach. What a release does not tell is left out."""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.pools import Host, PoolFacts
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.records import Records

_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
# Where xapi keeps that a rolling upgrade has begun: ocaml/xapi-consts/xapi_globs.ml (rolling_upgrade_in_progress).
_UPGRADING: Final = "rolling_upgrade_in_progress"


class _Read(NamedTuple):
    """All records of these classes, by reference."""

    pool: Records
    host: Records
    host_metrics: Records
    PBD: Records
    SR: Records
    network: Records
    PIF: Records


async def read_facts(calls: Calls) -> PoolFacts:
    """A call for each class, then two rounds of small ones: the master's clock, and each live host's free memory."""
    read = _Read(*await asyncio.gather(*(_records(calls, cls) for cls in _Read._fields)))
    pool = next(iter(read.pool.values()), {})
    master = pool.get("master", "")
    ahead, free = await asyncio.gather(_clock_ahead(calls, master), _free_memory(calls, read.host))
    return facts_from(read, ahead=ahead, free=free)


def facts_from(read: _Read, *, ahead: float | None, free: Mapping[str, int]) -> PoolFacts:
    """``free``: bytes of memory by reference of a host; ``ahead``: seconds of the master's clock."""
    pool = next(iter(read.pool.values()), {})
    master = read.host.get(pool.get("master", ""), {})
    software = master.get("software_version", {})
    hosts = [_host(ref, read, free) for ref in read.host]
    own = {sr["uuid"] for sr in read.SR.values() if sr["content_type"] != "iso" and sr["type"] not in ("iso", "udev")}
    return PoolFacts(
        api_version=_api_version(master),
        xapi_version=_version(software.get("xapi", "")),
        product=" ".join(filter(None, (software.get("product_brand", ""), software.get("product_version", "")))),
        restrictions=dict(pool.get("restrictions", {})),
        ha_enabled=pool.get("ha_enabled"),
        upgrading=_UPGRADING in pool.get("other_config", {}),
        certificates=_certificates(pool),
        clock_ahead_seconds=ahead,
        hosts=hosts,
        srs=sorted(own & {uuid for host in hosts for uuid in host.srs or []}),
        nbd_in_clear=_nbd_in_clear(read.network),
    )


def _host(ref: str, read: _Read, free: Mapping[str, int]) -> Host:
    record = read.host[ref]
    metrics = read.host_metrics.get(record["metrics"], {})
    pbds = [pbd for pbd in read.PBD.values() if pbd["host"] == ref and pbd["SR"] in read.SR]
    total = metrics.get("memory_total")
    cpus = record.get("cpu_info", {}).get("cpu_count", "")
    return Host(
        uuid=record["uuid"],
        name_label=record["name_label"],
        enabled=bool(record.get("enabled", True)),
        live=bool(metrics.get("live", True)),
        memory_total_bytes=int(total) if total is not None and int(total) > 0 else None,
        memory_free_bytes=free.get(ref),
        cpus=int(cpus) if cpus.isdecimal() and int(cpus) > 0 else None,
        capabilities=list(record.get("capabilities", [])),
        hardware_versions=[int(version) for version in record.get("virtual_hardware_platform_versions", [])],
        srs=_uuids(read.SR, (pbd["SR"] for pbd in pbds if pbd["currently_attached"])) if read.PBD and read.SR else None,
        srs_unplugged=_uuids(read.SR, (pbd["SR"] for pbd in pbds if not pbd["currently_attached"])),
        networks=_networks(ref, read) if read.PIF and read.network else None,
        bios_strings=dict(record.get("bios_strings", {})),
    )


def _networks(ref: str, read: _Read) -> list[str]:
    return _uuids(read.network, (pif["network"] for pif in read.PIF.values() if pif["host"] == ref))


def _uuids(records: Records, refs: Iterable[str]) -> list[str]:
    return sorted({records[ref]["uuid"] for ref in refs if ref in records})


def _api_version(host: Mapping[str, Any]) -> tuple[int, int] | None:
    if "API_version_major" not in host or "API_version_minor" not in host:
        return None
    return int(host["API_version_major"]), int(host["API_version_minor"])


def _version(text: str) -> tuple[int, int] | None:
    found = _VERSION.match(text)
    return None if found is None else (int(found[1]), int(found[2]))


def _certificates(pool: Mapping[str, Any]) -> bool | None:
    """Of 8.1 and later; since 24.0 the pool's own ones stand apart."""
    fields = [pool[field] for field in ("uefi_certificates", "custom_uefi_certificates") if field in pool]
    return any(fields) if fields else None


def _nbd_in_clear(networks: Records) -> bool:
    """Over TLS once any network wants that (ocaml/nbd/src/main.ml)."""
    purposes = {purpose for network in networks.values() for purpose in network.get("purpose", [])}
    return "insecure_nbd" in purposes and "nbd" not in purposes


async def _records(calls: Calls, cls: str) -> Records:
    """Nothing where the pool refuses."""
    try:
        records: Records = await calls.call(f"{cls}.get_all_records")
    except PoolUnreachable:
        raise
    except PoolError:
        return {}
    return records


async def _clock_ahead(calls: Calls, master: str) -> float | None:
    """By the middle of the call; None where it does not tell, or cannot be understood."""
    before = time.time()
    try:
        told = str(await calls.call("host.get_servertime", master))
        seconds = datetime.strptime(told, "%Y%m%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except PoolUnreachable:
        raise
    except (PoolError, ValueError):
        return None
    return seconds - (before + time.time()) / 2


async def _free_memory(calls: Calls, hosts: Records) -> dict[str, int]:
    """Of those hosts that tell."""

    async def of(ref: str) -> int | None:
        try:
            return int(await calls.call("host.compute_free_memory", ref))
        except PoolUnreachable:
            raise
        except PoolError:
            return None

    enabled = [ref for ref, host in hosts.items() if host.get("enabled", True)]
    found = await asyncio.gather(*(of(ref) for ref in enabled))
    return {ref: free for ref, free in zip(enabled, found, strict=True) if free is not None}
