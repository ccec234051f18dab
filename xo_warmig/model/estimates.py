"""What a plan expects a migration to take, each figure with where it comes from. Values only."""

from enum import StrEnum

import msgspec


class Basis(StrEnum):
    """Where a figure comes from: earlier migrations; what the pools said just now; a limit; or nothing but what is usual."""

    MEASURED = "measured"
    SAMPLED = "sampled"
    LIMIT = "limit"
    DEFAULT = "default"


class Figure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A figure in the unit that its name says."""

    value: float
    source: Basis


class ExpectedPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A named part of the downtime, under the name that ``DowntimePart`` has for it."""

    name: str
    seconds: float
    source: Basis


class Estimate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """From the start to the end, in the parts ``prepare``, ``copy`` (the first pass), ``sync`` (all deltas), ``cutover`` (what is done for
    it before the downtime), ``downtime`` and ``finish``.

    ``first_pass_bytes`` and all that depends on it are None where an earlier copy serves: what changed since then is known only once it
    is read. ``duration_seconds`` counts no waiting for people or times. A halted VM has no downtime. ``written_bytes_per_second`` is
    ``measured`` where deltas of the VM showed what it dirties, and ``sampled`` where its host tells what it wrote in the last minutes:
    writes over the same blocks are one block in a delta, and a small one counts there as a whole block.
    """

    first_pass_bytes: Figure | None
    bytes_per_second: Figure
    written_bytes_per_second: Figure
    passes: int
    duration_seconds: Figure | None
    duration_parts: list[ExpectedPart] = []
    downtime_seconds: Figure
    downtime_parts: list[ExpectedPart]
