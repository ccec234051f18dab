"""The releases that a simulated pool can be of, and which of the datamodel's members each of them has.

The datamodel says with which release of XAPI a member came and went: older ones by their code names, later ones by the version of
xapi itself. The order of the names is that of ocaml/idl/datamodel_common.ml.
"""

from typing import Final, TypeAlias

NEWEST: Final = "8.3"

_CODE_NAMES = (
    *("rio", "miami", "symc", "orlando", "orlando-update-1", "george", "midnight-ride", "cowley", "boston", "tampa"),
    *(
        "clearwater",
        "vgpu-tech-preview",
        "vgpu-productisation",
        "clearwater-felton",
        "clearwater-whetstone",
        "creedence",
    ),
    *("cream", "indigo", "dundee", "ely", "falcon", "inverness", "jura", "kolkata", "lima", "naples", "oslo", "quebec"),
    *("stockholm", "stockholm_psr"),
)

# 8.3 is kept up to date by its distributors, so it has all that the datamodel has.
_LAST_OF: Final = {
    "6.5": "creedence",
    "7.1": "ely",
    "7.6": "lima",
    "8.0": "naples",
    "8.2": "stockholm_psr",
    NEWEST: "9999",
}

Position: TypeAlias = tuple[int, ...]


def names() -> list[str]:
    """The releases, the oldest first."""
    return list(_LAST_OF)


def has(release: str, came: str) -> bool:
    """Whether what came with a release of XAPI is in this one."""
    return _position(came) <= _position(_LAST_OF[release])


def at_least(release: str, other: str) -> bool:
    """Whether a release is the other one or came after it."""
    order = names()
    return order.index(release) >= order.index(other)


def _position(text: str) -> Position:
    """Code names in their order, then versions in theirs."""
    if text in _CODE_NAMES:
        return (0, _CODE_NAMES.index(text))
    return (1, *(int(part) for part in text.removesuffix("-next").split(".")))
