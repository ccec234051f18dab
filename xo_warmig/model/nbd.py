"""Whether a pool serves disks over NBD: what it says against it, and what helps. A release that has no NBD gets no advice to turn it on."""

from typing import Final

RELEASE_WITHOUT_NBD: Final = "the pool's release has no NBD"
NO_PURPOSE: Final = "no network of the pool has the purpose nbd or insecure_nbd"

_ON_SOURCE: Final = "give a network that the pool's hosts are on the purpose nbd (xe network-param-add param-name=purpose param-key=nbd)"
_ON_TARGET: Final = "give a network of the target's pool the purpose nbd or insecure_nbd"


def remedy_on_source(against: str, *others: str) -> str:
    """``against``: why its disk is not served. ``others``: what helps as well; "" where nothing does."""
    return _remedy(against, _ON_SOURCE, others)


def remedy_on_target(against: str, *others: str) -> str:
    """The same of the target's pool."""
    return _remedy(against, _ON_TARGET, others)


def _remedy(against: str, purpose: str, others: tuple[str, ...]) -> str:
    return ", or ".join([*([] if against == RELEASE_WITHOUT_NBD else [purpose]), *others])
