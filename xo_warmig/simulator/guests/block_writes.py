"""A workload of plain block writes: clusters of noise at random places, as a database makes them."""

import random
import struct
import time
from typing import Any

from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import Disk

_NOISE_BYTES = 4 << 20
_STAMP = struct.Struct("<QQ")  # seed and time, so that no cluster is ever written twice with the same bytes


class BlockWrites:
    """Writes of ``cluster`` bytes, each at a multiple of that within the first ``span`` bytes of one of its disks."""

    def __init__(self, disks: list[Disk], config: GuestConfig) -> None:
        self._disks = disks
        self._cluster = max(512, config.cluster // 512 * 512)
        self._span = config.span
        self._seed = config.seed
        self._random = random.Random(config.seed)
        self._noise = memoryview(b"")
        self._bytes = 0
        self._writes = 0

    def prepare(self) -> None:
        self._noise = memoryview(random.Random(self._seed).randbytes(_NOISE_BYTES + self._cluster))

    def unit_bytes(self) -> int:
        return self._cluster

    def write(self, budget_bytes: int) -> int:
        count = budget_bytes // self._cluster
        for _ in range(count):
            disk = self._random.choice(self._disks)
            disk.pwrite(self._somewhere(disk), self._data())
        self._writes += count
        self._bytes += count * self._cluster
        return count * self._cluster

    def flush(self) -> None:
        """One last cluster on each disk: what a final pass must not miss."""
        for disk in self._disks:
            disk.pwrite(self._somewhere(disk), self._data())
            self._writes, self._bytes = self._writes + 1, self._bytes + self._cluster

    def report(self) -> dict[str, Any]:
        return {"bytes": self._bytes, "writes": self._writes, "cluster": self._cluster}

    def close(self) -> None:
        return

    def _somewhere(self, disk: Disk) -> int:
        span = min(self._span or disk.size_bytes, disk.size_bytes)
        return self._random.randrange(max(1, span // self._cluster)) * self._cluster

    def _data(self) -> bytes:
        begin = self._random.randrange(_NOISE_BYTES) & ~7
        body = self._noise[begin : begin + self._cluster - _STAMP.size]
        return _STAMP.pack(self._seed, time.time_ns()) + bytes(body)
