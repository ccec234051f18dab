"""Where a broken copy goes on (R22), and for how long it is tried. Decisions only."""

from typing import NamedTuple

from xo_warmig.disks.sent import GRANULARITY_BYTES
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import Mark, SentPiece
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.retries import back_off_seconds, is_away


class Resume(NamedTuple):
    """Go on from ``offset`` of the disk once the target is seen to hold ``pieces``; without pieces, at once."""

    offset: int
    pieces: list[SentPiece]


def resume_of(mark: Mark, trusted: int, *, resend_bytes: int) -> Resume:
    """What follows a break of the connection.

    Args:
        trusted: what lies below it is on the target for sure: confirmed, or compared after an earlier break.
    """
    offset, left = trusted, resend_bytes
    for piece in reversed(mark.tail):
        left -= piece.length
        if left <= 0:
            offset = max(trusted, piece.offset - piece.offset % GRANULARITY_BYTES)
            break
    pieces = [piece for piece in mark.tail if trusted <= piece.offset and piece.offset + piece.length <= offset]
    return Resume(offset, pieces) if pieces else Resume(trusted, [])


class Patience:
    """How long one disk's copy is tried again."""

    def __init__(self, limits: CopyLimits) -> None:
        self._limits = limits
        self._failures = self._waits = 0
        self._away_since: float | None = None

    def wait_seconds(self, error: WarmigError, *, progressed: bool, now: float) -> float:
        """How long to wait after this failure. Raises ``error`` when it is the last one that was to be borne.

        Args:
            progressed: more was sent than ever before.
            now: monotonic seconds.
        """
        limits = self._limits
        if progressed:
            self._failures = self._waits = 0
        if progressed or not is_away(error):
            self._away_since = None
        self._waits += 1
        if is_away(error):
            self._away_since = now if self._away_since is None else self._away_since
            if now - self._away_since >= limits.pool_patience_seconds:
                raise error
        else:
            self._failures += 1
            if self._failures >= limits.tries:
                raise error
        return back_off_seconds(self._waits, first=limits.first_wait_seconds, longest=limits.longest_wait_seconds)
