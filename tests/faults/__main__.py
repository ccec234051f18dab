"""``python -m tests.faults``: the whole crash sweep; with names of points, as it prints them, only those."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.servers import nursery
from tests.faults.sweep import VARIANTS, good_points, parse_point, summary, sweep


async def _main(named: list[str]) -> int:
    began = time.monotonic()
    with (
        nursery() as servers,
        tempfile.TemporaryDirectory(prefix="xo-warmig-sweep-", ignore_cleanup_errors=True) as place,
    ):
        points = [parse_point(text) for text in named]
        if not points:
            found = await good_points(servers, Path(place) / "good", VARIANTS.values())
            points = [point for members in found.values() for point in members]
            print({name: len(members) for name, members in found.items()}, flush=True)
        results = await sweep(servers, Path(place), points)
    print(summary(results, began))
    return 1 if any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
