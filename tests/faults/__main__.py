"""``python -m tests.faults``: all sweeps whole; with ``servers``, ``pools`` or ``double`` that one; with points those.

``servers`` kills the server in every state, of all variants or of those that are named; ``pools`` kills either pool there, and cuts
each transfer; ``double`` kills the recovering server again, at some of its points.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.choosing import SEED, Point, chosen, cuts, kills, parse_point, states
from tests.faults.servers import Nursery, nursery
from tests.faults.sweep import VARIANTS, good_points, summary, sweep, twice

SWEEPS = ("servers", "pools", "double")
# Each migration has the pools to itself then: one way forward and one back are enough.
OF_POOLS = ("started", "refused-dropped")
FIRST, SECOND = 40, 4


async def _main(words: list[str]) -> int:
    began = time.monotonic()
    with (
        nursery() as servers,
        tempfile.TemporaryDirectory(prefix="xo-warmig-sweep-", ignore_cleanup_errors=True) as place,
    ):
        named = [parse_point(word) for word in words if word not in SWEEPS and word not in VARIANTS]
        points = named or await _points(servers, Path(place), words)
        results = await sweep(servers, Path(place), points)
    print(f"seed {SEED}: {summary(results, began)}")
    return 1 if any(result.failure for result in results) else 0


async def _points(servers: Nursery, place: Path, words: list[str]) -> list[Point]:
    sweeps = [word for word in words if word in SWEEPS] or SWEEPS
    variants = [variant for name, variant in VARIANTS.items() if name in words] or list(VARIANTS.values())
    found = await good_points(servers, place / "good", variants)
    print({name: len(members) for name, members in found.items()}, flush=True)
    good = [point for members in found.values() for point in members]
    points = states(good) if "servers" in sweeps else []
    print(f"{len(good)} points are {len(states(good))} states", flush=True)
    if "pools" in sweeps:
        some = [point for point in good if point.variant in OF_POOLS]
        points = points + kills(some) + cuts(good, random.Random(SEED))
    if "double" in sweeps:
        points = points + await twice(servers, place, chosen(good, FIRST), SECOND)
    return points


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
