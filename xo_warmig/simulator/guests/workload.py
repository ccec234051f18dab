"""What a workload is to the guest that runs it."""

from typing import Any, Protocol


class Workload(Protocol):
    """Something that writes. Used from one thread at a time; an OSError from its disks ends it, as it would a guest."""

    def prepare(self) -> None:
        """Once, before anything else: make or find what it works on."""

    def write(self, budget_bytes: int) -> int:
        """Write at most about so many bytes, in whole units of its own; returns how many. Less than one unit is not written."""

    def unit_bytes(self) -> int:
        """The least that it writes at a time."""

    def flush(self) -> None:
        """The guest shuts down cleanly: write what a guest writes last."""

    def report(self) -> dict[str, Any]:
        """What it has written, as JSON values."""

    def close(self) -> None:
        """Let go of everything."""


class Idle:
    """A guest that writes nothing."""

    def prepare(self) -> None:
        return

    def write(self, budget_bytes: int) -> int:
        return 0

    def unit_bytes(self) -> int:
        return 1

    def flush(self) -> None:
        return

    def report(self) -> dict[str, Any]:
        return {"bytes": 0}

    def close(self) -> None:
        return
