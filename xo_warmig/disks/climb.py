"""How many connections to a disk are worth their while, as its own reading shows. Arithmetic only; it is told the time.

A near pool with fast storage gives all it has over few. Where storage is slow, a server that does one read after the other for each
connection gives more over more of them: so one more is tried, and kept where it makes the copy faster. What holds back a copy
otherwise, its target or a limit, lets no connection gain anything.
"""

USUAL_CONNECTIONS = 4  # more did not read faster from storage that was fast
GAIN = 1.1
LOOK_SECONDS = 3.0  # so long a number of connections is watched
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 960.0  # until one more is tried again that gained nothing


class Climb:
    """Of one copy. Moments are monotonic seconds. Not thread-safe."""

    def __init__(self, begin: int, usual: int, most: int) -> None:
        """``usual``: so many are had without a proof, if they are free; ``begin`` at first; more than ``most`` never."""
        self.wanted = min(begin, most)
        self._usual = min(max(begin, usual), most)
        self._most = most
        self._proven = self._usual
        self._rate: float | None = None  # over those that are proven
        self._since: tuple[float, int, int] | None = None  # moment, bytes and connections
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._next_try = 0.0

    def look(self, now: float, done_bytes: int, connections: int) -> int:
        """How many are wanted, when so many are open and so much was read."""
        if self.wanted < self._usual:
            self.wanted = self._usual
        since = self._since
        if since is None or since[2] != connections or connections not in (self._proven, self.wanted):
            self._since = (now, done_bytes, connections)
        elif now - since[0] >= LOOK_SECONDS:
            self._since = (now, done_bytes, connections)
            self._judge((done_bytes - since[1]) / (now - since[0]), connections, now)
        return self.wanted

    def _judge(self, rate: float, connections: int, now: float) -> None:
        if connections == self._proven:
            self._rate = rate  # also while one more is wanted that others have
        elif self._rate is None or rate >= GAIN * self._rate:
            self._proven, self._rate, self._pause_seconds = connections, rate, _FIRST_PAUSE_SECONDS
        else:
            self.wanted, self._next_try = self._proven, now + self._pause_seconds
            self._pause_seconds = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause_seconds)
            return
        if now >= self._next_try and rate > 0:
            self.wanted = min(self._most, self._proven + 1)
