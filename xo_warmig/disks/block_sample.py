"""What of a pass's table is read back: all that is known, or a sample of it."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xo_warmig.disks.block_hashes import NOT_WRITTEN, UNKNOWN
from xo_warmig.disks.block_table import BlockTable, chunks, written
from xo_warmig.disks.threads import in_thread

LEAST_SAMPLE, MOST_SAMPLE = 16, 512
SAMPLE_PART = 0.01


class Listing(NamedTuple):
    """How many blocks a pass wrote, known and not (see ``BlockTable``), and the numbers of those to read back; None: of all known."""

    known: int
    unknown: int
    sample: list[int] | None


async def list_hashed(table: BlockTable, *, seed: str | None) -> Listing:
    """``listing_of`` in a thread, which has ended when this returns or raises."""
    return await in_thread("read-back-list", lambda: listing_of(table, seed=seed))


def listing_of(table: BlockTable, *, seed: str | None) -> Listing:
    """By going through the table. ``seed``: of the sample, None for all."""
    count = written(table)
    sample = None if seed is None else sample_of(table, count.known, seed)
    return Listing(count.known, count.unknown, sample)


def sample_size(known: int) -> int:
    """About one of a hundred blocks, at least 16 and at most 512."""
    return min(known, max(LEAST_SAMPLE, min(MOST_SAMPLE, math.ceil(known * SAMPLE_PART))))


def sample_of(table: BlockTable, known: int, seed: str) -> list[int]:
    """Numbers of known blocks, ascending: one by chance of each of equal parts of them all, but of the outer parts the first and the last.

    ``sample_size`` of them; the same for the same ``seed``.

    Args:
        known: how many there are.
    """
    chance = random.Random(seed)
    count = sample_size(known)
    bounds = [known * n // count for n in range(count + 1)] if count else [0]
    ranks = [chance.randrange(begin, end) for begin, end in itertools.pairwise(bounds)]
    ranks[:1], ranks[-1:] = [0][:count], [known - 1][:count]
    return list(_ranked(table, ranks))


def _ranked(table: BlockTable, ranks: Sequence[int]) -> Iterator[int]:
    """The blocks with these places among all that are known."""
    wanted, before = iter(ranks), 0
    rank = next(wanted, None)
    for first, entries in chunks(table):
        known = len(entries) - entries.count(UNKNOWN) - entries.count(NOT_WRITTEN)
        if rank is None:
            return
        if rank >= before + known:
            before += known
            continue
        nth = before
        for number, entry in enumerate(entries, first):
            if entry > UNKNOWN:
                if nth == rank:
                    yield number
                    rank = next(wanted, None)
                nth += 1
        before += known
