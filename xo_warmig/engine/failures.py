"""Errors as facts: an exception becomes JSON values, and those become the exception again."""

import asyncio
import logging
from collections.abc import Iterator

from xo_warmig.errors import Cancelled, WarmigError

log = logging.getLogger("xo_warmig.engine")


def as_warmig(error: BaseException) -> WarmigError:
    """The error itself, or what stands for one that nobody raised on purpose: its text may hold secrets and stays in the log."""
    if isinstance(error, WarmigError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return Cancelled("the migration was cancelled")
    log.error("a migration failed unexpectedly", exc_info=error)
    return WarmigError(f"something failed unexpectedly ({type(error).__name__}); the log has more")


def to_fact(error: WarmigError) -> dict[str, object]:
    """Its dictionary, with its class under ``type``."""
    return {"type": type(error).__name__, **error.as_dict()}


def from_fact(fact: dict[str, object]) -> WarmigError:
    """The error that ``to_fact`` was given; one of an unknown class is a plain WarmigError."""
    name = fact.get("type")
    kind = next((each for each in _classes(WarmigError) if each.__name__ == name), WarmigError)
    evidence = fact.get("evidence")
    return kind(
        str(fact.get("message", "")),
        code=str(fact.get("code") or kind.default_code),
        evidence=evidence if isinstance(evidence, dict) else {},
        remedy=str(fact.get("remedy", "")),
    )


def _classes(root: type[WarmigError]) -> Iterator[type[WarmigError]]:
    yield root
    for below in root.__subclasses__():
        yield from _classes(below)
