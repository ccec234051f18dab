"""``--vm`` of ``simulate``: a simulated VM in one line, as ``name=db,disk=20G:2G,disk=8G,guest=blocks,rate=20M``.

Keys: ``name``, ``disk=SIZE[:ALLOCATED]`` (once for each disk), ``image=FILE`` (a disk from a raw, VHD or qcow2 file), ``memory``,
``vcpus``, ``vifs``, ``power`` (Running, Halted), ``kind`` (hvm, pv), ``firmware`` (bios, uefi), ``tools`` (yes, no), and of its guest
``guest`` (none, blocks, files), ``rate`` (bytes a second), ``cluster``, ``span``, ``disks`` (positions that it writes to, as ``0+1``)
and ``seed``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from xo_warmig.model.units import parse_size
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig


def _one_of(*choices: str) -> Callable[[str], str]:
    def choose(text: str) -> str:
        for choice in choices:
            if text.casefold() == choice.casefold():
                return choice
        raise ValueError(f"{text!r} is none of {', '.join(choices)}")

    return choose


def _disk(text: str) -> DiskConfig:
    size, _, allocated = text.partition(":")
    return DiskConfig(size_bytes=parse_size(size), allocated_bytes=parse_size(allocated) if allocated else 0)


def _image(text: str) -> DiskConfig:
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text}")
    return DiskConfig(size_bytes=0, image=str(Path(text).resolve()))


def _positions(text: str) -> list[int]:
    return [int(part) for part in text.split("+")]


_DISKS: dict[str, Callable[[str], DiskConfig]] = {"disk": _disk, "image": _image}
_OF_VM: dict[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("name_label", str),
    "memory": ("memory_bytes", parse_size),
    "vcpus": ("vcpus", int),
    "vifs": ("vifs", int),
    "power": ("power_state", _one_of("Running", "Halted")),
    "kind": ("kind", _one_of("hvm", "pv")),
    "firmware": ("firmware", _one_of("bios", "uefi")),
    "tools": ("tools", lambda text: _one_of("yes", "no")(text) == "yes"),
}
_OF_GUEST: dict[str, tuple[str, Callable[[str], Any]]] = {
    "guest": ("kind", _one_of("none", "blocks", "files")),
    "rate": ("rate", parse_size),
    "cluster": ("cluster", parse_size),
    "span": ("span", parse_size),
    "disks": ("disks", _positions),
    "seed": ("seed", int),
}


def parse_vm(text: str) -> VmConfig:
    """The VM that a line describes.

    Raises:
        ValueError: says what is wrong with which key.
    """
    disks: list[DiskConfig] = []
    vm: dict[str, Any] = {"name_label": "vm"}
    guest: dict[str, Any] = {}
    for item in text.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"{item!r} is not of the form key=value")
        try:
            if key in _DISKS:
                disks.append(_DISKS[key](value))
            elif key in _OF_VM:
                vm[_OF_VM[key][0]] = _OF_VM[key][1](value)
            elif key in _OF_GUEST:
                guest[_OF_GUEST[key][0]] = _OF_GUEST[key][1](value)
            else:
                raise ValueError(f"not one of {', '.join((*_DISKS, *_OF_VM, *_OF_GUEST))}")
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    if disks:
        vm["disks"] = disks
    return VmConfig(**vm, guest=GuestConfig(**guest))


def vm(text: str) -> VmConfig:
    """The type of options that describe a VM."""
    try:
        return parse_vm(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
