"""How this reader refuses: one shape of FormatError for all that a VHD can have wrong."""

from xo_warmig.errors import FormatError


def refused(what: str, **evidence: str | int) -> FormatError:
    """The error for a VHD that has ``what``; ``evidence`` are the values that were seen."""
    return FormatError(
        f"the VHD has {what}",
        code="BAD_VHD",
        evidence=evidence,
        remedy="Export the disk again. If it stays, the sender's image is damaged or of a kind that cannot be streamed.",
    )


def printable(data: bytes) -> str:
    """Foreign bytes as they may be shown: a failing server's own message is often among them."""
    return data[:64].decode("ascii", "backslashreplace")
