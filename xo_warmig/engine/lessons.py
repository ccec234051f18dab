"""What migrations so far teach the plan of another one, from their facts. Pure.

Of the newest ones what lies in the middle counts: pools get other loads and other networks, and one that met a fault says little.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from xo_warmig.engine.state import MigrationState
from xo_warmig.model.passes import PassKind, PassReport, Verdict, Way
from xo_warmig.model.phases import Phase
from xo_warmig.replication.convergence import SIGNIFICANT_BYTES
from xo_warmig.replication.known import ASSUMED_FIXED, ASSUMED_READ_BACK, Known
from xo_warmig.replication.measured import rates_in, rates_of
from xo_warmig.replication.trends import Trend, trend_of

_NEWEST: Final = 9

Key = TypeVar("Key")
Otherwise = TypeVar("Otherwise")


def known_of(states: Sequence[MigrationState], vm: str, source_pool: str, target_pool: str) -> Known:
    """For the plan of a VM's way from one pool to another.

    Args:
        states: of all migrations so far, the oldest first.
    """
    between = [each for each in states if ends_of(each) == (source_pool, target_pool)]
    passes = [each for state in between for each in state.passes]
    own = [each for state in states if state.plan.vm.uuid == vm for each in state.passes]
    return Known(
        rates=rates_of([], passes),
        speeds=_medians((way, rate.bytes_per_second) for each in passes for way, rate in rates_in(each, "").items()),
        fixed=_trends(
            ((name, len(state.plan.vm.disks), cost) for state in between for name, cost in _fixed(state)),
            ASSUMED_FIXED,
        ),
        read_back=_trends((each for report in passes for each in _read_back(report)), ASSUMED_READ_BACK),
        written_bytes_per_second=_median(
            [rate for each in own if (rate := each.dirty_bytes_per_second) is not None][-_NEWEST:], None
        ),
        parts=downtime_parts(between),
    )


def downtime_parts(states: Iterable[MigrationState]) -> dict[str, float]:
    """Seconds by name."""
    return _medians(
        (part.name, part.seconds) for state in states if state.downtime is not None for part in state.downtime.parts
    )


def ends_of(state: MigrationState) -> tuple[str, str]:
    return state.plan.source_pool, state.plan.target_pool


def seen_throughput(passes: Iterable[PassReport]) -> float | None:
    """What final ones made that no limit held back, where they moved enough to tell."""
    seen = (
        each.throughput_bytes_per_second
        for each in passes
        if each.kind is PassKind.FINAL and each.verdict is Verdict.COMPLETE and not each.throttled
        if each.bytes >= SIGNIFICANT_BYTES
    )
    return _median(seen, None)


def _median(values: Iterable[float], otherwise: Otherwise) -> float | Otherwise:
    known = list(values)
    return statistics.median(known) if known else otherwise


def _medians(seen: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    """By key, of its newest values."""
    found: dict[Key, list[float]] = {}
    for key, value in seen:
        found.setdefault(key, []).append(value)
    return {key: statistics.median(values[-_NEWEST:]) for key, values in found.items()}


def _trends(seen: Iterable[tuple[Key, float, float]], usual: Mapping[Key, Trend]) -> dict[Key, Trend]:
    """By key, through its newest counts with their costs."""
    found: dict[Key, list[tuple[float, float]]] = {}
    for key, count, cost in seen:
        found.setdefault(key, []).append((count, cost))
    trends = {key: trend_of(points[-_NEWEST:], usual=usual[key]) for key, points in found.items()}
    return {key: trend for key, trend in trends.items() if trend is not None}


def _read_back(report: PassReport) -> Iterable[tuple[Way, float, float]]:
    """Bytes and seconds of a pass's reading back, where all of its disks were read in one way."""
    ways = {each.read_back.way for each in report.disks if each.read_back is not None}
    if report.verdict is Verdict.COMPLETE and report.read_back_bytes and len(ways) == 1:
        yield ways.pop(), report.read_back_bytes, report.read_back_seconds


def _fixed(state: MigrationState) -> Iterable[tuple[str, float]]:
    """What moved no data, by part of the duration, where nobody was waited for."""
    before = {PassKind.FULL: "copy", PassKind.DELTA: "sync"}
    whole = [each for each in state.passes if each.verdict is Verdict.COMPLETE]
    for each in whole:
        if each.kind in before:
            yield before[each.kind], max(0.0, each.fixed_seconds - each.read_back_seconds)
    if state.phase is not Phase.DONE or state.epoch > 1 or not whole:
        return
    yield "prepare", max(0.0, state.passes[0].started - state.created)
    yield from _around(state, [each for each in whole if each.kind in before])


def _around(state: MigrationState, passes: Sequence[PassReport]) -> Iterable[tuple[str, float]]:
    """Before the downtime and after it."""
    asked, finished = state.shutdown_asked, state.finished
    if asked is None or finished is None or state.downtime is None:
        return
    if state.request.cutover == "auto" and passes:
        yield "cutover", max(0.0, asked - passes[-1].started - passes[-1].seconds)
    if state.request.commit == "auto":
        yield "finish", max(0.0, finished - asked - state.downtime.seconds)
