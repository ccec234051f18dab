"""A process that has imported the server, and forks one whenever it is asked: importing takes longer than anything else of a cycle.

It reads a line of JSON for each on its standard input and answers with the process's number; at the end of its input it ends with all
that it forked. It has one thread only, so that forking is safe.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

import tests.warm  # noqa: F401  all that a server is made of, once
from tests.faults import crashing
from tests.faults.points import Orders


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """A server to be: what it is told, where it listens (port 0: any), where it keeps its state, where it writes what it says."""

    orders: Orders
    address: str
    port: int
    state_dir: str
    log: str


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are forgotten at once; who waits for one has a pidfd
    for line in sys.stdin.buffer:
        birth = msgspec.json.decode(line, type=Birth)
        pid = os.fork()
        if pid == 0:
            _live(birth)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _live(birth: Birth) -> None:
    """The child's whole life."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(birth.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 1
    try:
        crashing.run(birth.orders, birth.address, birth.port, Path(birth.state_dir))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
