"""How this client refuses: one shape of FormatError for all that a server can get wrong."""

from xo_warmig.errors import FormatError


def refused(what: str, **evidence: str | int) -> FormatError:
    """The error for a server that sends ``what``; ``evidence`` are the values that were seen."""
    return FormatError(
        f"the NBD server sends {what}",
        code="BAD_NBD",
        evidence=evidence,
        remedy="See that a pool's NBD server answers at this address, and nothing between changes what it sends.",
    )


def printable(data: bytes) -> str:
    """Foreign bytes as they may be shown."""
    return data[:200].decode("utf-8", "backslashreplace")
