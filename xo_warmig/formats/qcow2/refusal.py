"""How this reader refuses: one shape of FormatError for all that a qcow2 file can have wrong."""

from xo_warmig.errors import FormatError


def refused(what: str, **evidence: str | int) -> FormatError:
    """The error for a file that has ``what``; ``evidence`` are the values that were seen."""
    return FormatError(
        f"the qcow2 stream has {what}",
        code="BAD_QCOW2",
        evidence=evidence,
        remedy="Export the disk again. If it stays, the sender writes a kind of qcow2 that is not known here.",
    )
