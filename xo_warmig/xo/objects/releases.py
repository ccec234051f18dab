"""Versions that decide what a field means."""

import re
from typing import Final

_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")


def version_of(text: object) -> tuple[int, ...] | None:
    """The numbers of a version; None when it is none."""
    return tuple(map(int, text.split("."))) if isinstance(text, str) and _VERSION.fullmatch(text) else None


def is_at_least(text: object, least: tuple[int, ...]) -> bool:
    """Whether this is a version, and not an older one."""
    version = version_of(text)
    return version is not None and version >= least
