"""Sizes as people type them on a command line."""

import re

import click

from xo_warmig.model.units import GIB, KIB, MIB, TIB

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:iB|B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """``100M`` as 104857600 bytes; units are powers of 1024.

    Raises:
        ValueError: no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write it as 64K, 100M or 1.5G")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def size(text: str) -> int:
    """The type of options that are sizes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
