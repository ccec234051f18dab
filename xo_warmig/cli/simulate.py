"""``simulate``: pools that pretend, on the real wire, until interrupted."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec

from xo_warmig.cli.options import json_option
from xo_warmig.cli.sizes import size
from xo_warmig.cli.vm_spec import vm
from xo_warmig.errors import InvalidRequest
from xo_warmig.model.images import QCOW2
from xo_warmig.simulator import release
from xo_warmig.simulator.delays import NAMES, Delays
from xo_warmig.simulator.launch import start_site
from xo_warmig.simulator.site import (
    FIRST_WITH_QCOW2,
    LARGEST_QCOW2_BYTES,
    LARGEST_VHD_BYTES,
    PoolConfig,
    SiteConfig,
    VmConfig,
    default_vm,
)

VENDORS = ("GenuineIntel", "AuthenticAMD")


def delays(text: str) -> dict[str, float]:
    """The type of the option that gives seconds by operation."""
    try:
        parsed = Delays.parse(text)
    except InvalidRequest as error:
        raise click.BadParameter(f"{error}; {error.remedy}") from error
    return {name: parsed.seconds(name) for name in NAMES}


@click.command()
@click.option("--pools", type=click.IntRange(1, 20), default=2, show_default=True, help="Intel and AMD in turn.")
@click.option("--hosts", type=click.IntRange(1, 16), default=1, show_default=True, help="Of each pool.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Keep the pools here; else nowhere.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of uuids, disks' contents and guests.")
@click.option("--https/--http", default=False, help="With a self-signed certificate, or plain.  [default: http]")
@click.option("--bandwidth", type=size, default="0", help="Of all transfers of a pool, bytes a second, as 100M.")
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    default=0,
    metavar="MS",
    help="Round trip, in milliseconds, that is added to all calls and transfers.",
)
@click.option(
    "--nbd",
    type=click.Choice(["none", "nbd", "insecure_nbd"]),
    default="none",
    show_default=True,
    help="Purpose of the pools' network: disks over NBD, with TLS or without.",
)
@click.option(
    "--delays",
    type=delays,
    default="",
    help="'real', or as attach=0.4,snapshot=0.55: seconds that operations take.",
)
@click.option(
    "--release",
    "releases",
    type=click.Choice(release.names()),
    multiple=True,
    default=(release.NEWEST,),
    show_default=True,
    help="Of the pools, once for each; the last one is of the rest, too.",
)
@click.option("--sr-type", type=click.Choice(["ext", "nfs", "lvm", "lvmoiscsi"]), default="ext", show_default=True)
@click.option("--sr-size", type=size, default="200G", show_default=True, help="Of each storage repository.")
@click.option("--qcow2", is_flag=True, help="Storage of 8.3 keeps disks above 2040 GiB, as qcow2; up to 16T.")
@click.option("--prefer-qcow2", is_flag=True, help="Storage of 8.3 keeps all disks so.")
@click.option(
    "--vm", "vms", type=vm, multiple=True, help="A VM of the first pool, instead of web-1: name=db,disk=8G:1G,..."
)
@click.option("--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="End by itself.")
@json_option
def simulate(seconds: float | None, as_json: bool, **asked: Any) -> None:
    """Simulate pools that real XAPI clients can use, until interrupted.

    Prints one line of JSON when they are ready: their URLs, credentials, VMs, storage and networks.

    \b
    --vm keys: name, disk=SIZE[:ALLOCATED] (repeatable), image=FILE, memory, vcpus, vifs, power, kind,
    firmware, tools; of its guest: guest=none|blocks|files, rate, cluster, span, disks=0+1, seed.
    """
    del as_json  # The ready line is JSON in any case.
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with start_site(site_config(**asked)) as site:
            print(site.ready_line(), flush=True)
            stopped.wait(seconds)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def site_config(
    *,
    pools: int,
    hosts: int,
    directory: Path | None,
    seed: int,
    https: bool,
    bandwidth: int,
    latency: float,
    nbd: str,
    delays: dict[str, float],
    releases: tuple[str, ...],
    sr_type: str,
    sr_size: int,
    qcow2: bool,
    prefer_qcow2: bool,
    vms: tuple[VmConfig, ...],
) -> SiteConfig:
    """The site that the options describe. The first pool has the VMs."""
    each = [
        PoolConfig(
            name=f"pool-{number}",
            cpu_vendor=VENDORS[number % len(VENDORS)],
            release=_release(releases, number),
            hosts=hosts,
            sr_type=sr_type,
            sr_size_bytes=sr_size,
            image_formats=_image_formats(_release(releases, number), qcow2=qcow2, prefer_qcow2=prefer_qcow2),
            https=https,
            seed=seed + number,
            bandwidth=bandwidth,
            latency_seconds=latency / 1000,
            nbd_purpose="" if nbd == "none" else nbd,
            delays=delays,
        )
        for number in range(pools)
    ]
    each[0] = msgspec.structs.replace(each[0], vms=list(vms) or [default_vm()])
    _see_sizes(each[0])
    return SiteConfig(pools=each, directory=directory)


def _see_sizes(pool: PoolConfig) -> None:
    """Raises BadParameter: its storage makes no disk as large as one of its VMs has."""
    most_bytes = LARGEST_QCOW2_BYTES if QCOW2 in pool.image_formats else LARGEST_VHD_BYTES
    for one in pool.vms:
        if any(disk.size_bytes > most_bytes for disk in one.disks):
            helps = (
                "" if QCOW2 in pool.image_formats else f"; --qcow2 makes larger ones, where it is of {FIRST_WITH_QCOW2}"
            )
            raise click.BadParameter(
                f"a disk of {one.name_label} is larger than storage of the first pool makes any ({most_bytes >> 30} GiB){helps}",
                param_hint="--vm",
            )


def _release(releases: tuple[str, ...], number: int) -> str:
    """Of a pool."""
    return releases[min(number, len(releases) - 1)]


def _image_formats(release_name: str, *, qcow2: bool, prefer_qcow2: bool) -> list[str]:
    """Of a pool's storage, the preferred one first; older releases have VHD alone."""
    if release_name != FIRST_WITH_QCOW2 or not (qcow2 or prefer_qcow2):
        return ["vhd"]
    return ["qcow2", "vhd"] if prefer_qcow2 else ["vhd", "qcow2"]
