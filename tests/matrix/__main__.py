"""``python -m tests.matrix``: every valid combination, or those whose text has all of the words given; each is told in a line."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.matrix.combinations import Combination, every
from tests.matrix.migrating import carry_out
from xo_warmig.errors import WarmigError


def main(words: list[str]) -> int:
    """How many were not as they should be."""
    chosen = [each for each in every() if all(word in str(each) for word in words)]
    print(f"{len(chosen)} of {len(every())} combinations", flush=True)
    broken = sum(not _is_good(each) for each in chosen)
    print(f"{len(chosen) - broken} good, {broken} not")
    return 1 if broken else 0


def _is_good(combination: Combination) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="xo-warmig-matrix-", ignore_cleanup_errors=True) as place:
        try:
            faults = asyncio.run(carry_out(combination, Path(place))).faults()
        except WarmigError as error:
            faults = [str(error)]
    print(
        f"{'not good' if faults else 'good'} ({time.monotonic() - began:.1f} s): {combination}",
        *faults,
        sep="\n    ",
        flush=True,
    )
    return not faults


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
