"""When to cut over, as tables."""

import msgspec
import pytest

from xo_warmig.model.passes import PassKind, PassReport, Verdict
from xo_warmig.model.units import MIB
from xo_warmig.replication.convergence import (
    Budget,
    Costs,
    CutOver,
    PassAgain,
    Speed,
    decide,
    explain,
    final_throughput,
    is_upper_bound,
    predict_downtime,
    predict_read,
    predict_sampled,
    throughput_of,
)

COSTS = Costs(shutdown_seconds=2.0, start_seconds=1.0)
BUDGET = Budget(target_downtime_seconds=10.0, max_passes=10, min_pass_interval_seconds=0.0)


def a_pass(
    kind: PassKind = PassKind.DELTA,
    *,
    mib: float = 100.0,
    rate_mib: float = 100.0,
    dirty_mib: float | None = 10.0,
    fixed: float = 1.0,
    snapshot: float = 0.0,
    predicted: float | None = None,
    started: float = 0.0,
    throttled: bool = False,
    back_mib: float = 0.0,
    back_seconds: float = 0.0,
) -> PassReport:
    """A complete pass."""
    return PassReport(
        number=1,
        kind=kind,
        verdict=Verdict.COMPLETE,
        started=started,
        seconds=fixed + back_seconds + (mib / rate_mib if rate_mib else 0.0),
        fixed_seconds=fixed + back_seconds,
        snapshot_seconds=snapshot,
        bytes=int(mib * MIB),
        written_bytes=int(mib * MIB),
        throughput_bytes_per_second=rate_mib * MIB,
        dirty_bytes_per_second=None if dirty_mib is None else dirty_mib * MIB,
        predicted_downtime_seconds=predicted,
        disks=[],
        throttled=throttled,
        read_back_bytes=int(back_mib * MIB),
        read_back_seconds=back_seconds,
    )


FULL = a_pass(PassKind.FULL, mib=10_000.0, dirty_mib=None)


@pytest.mark.parametrize(
    ("full_back", "delta_back", "expected"),
    [
        ((0.0, 0.0), (0.0, 0.0), 5.0),  # nothing was read back
        ((10_000.0, 100.0), (200.0, 2.5), 7.5),  # over NBD: no less than the least that was seen
        ((10_000.0, 100.0), (50.0, 1.0), 6.5),  # 50 MiB more than the delta, at 100 MiB/s
        ((10_000.0, 100.0), (10_000.0, 99.0), 104.0),  # from an export it is all of the disk again
    ],
)
def test_reading_back_counts_where_it_is_in_the_downtime(
    full_back: tuple[float, float], delta_back: tuple[float, float], expected: float
) -> None:
    """A sample is not, and costs passes their time only."""
    full = a_pass(PassKind.FULL, mib=10_000.0, dirty_mib=None, back_mib=full_back[0], back_seconds=full_back[1])
    delta = a_pass(mib=min(delta_back[0], 200.0) or 100.0, back_mib=delta_back[0], back_seconds=delta_back[1])
    assert predict_downtime([full, delta], COSTS, pending_seconds=8.0) == pytest.approx(5.0)
    strict = COSTS._replace(reads_back=True)
    assert predict_downtime([full, delta], strict, pending_seconds=8.0) == pytest.approx(expected, rel=0.05)


def test_no_delta_no_prediction() -> None:
    """A full pass says nothing of how much the guest writes."""
    assert predict_downtime([FULL], COSTS, pending_seconds=5.0) is None


def test_before_any_delta_the_host_s_word_is_told() -> None:
    """By what the full pass cost beside its data, snapshots and reading back."""
    full = a_pass(PassKind.FULL, mib=1000.0, dirty_mib=None, fixed=3.0, snapshot=2.0, back_mib=64.0, back_seconds=4.0)

    def told(passes: list[PassReport], costs: Costs = COSTS) -> float | None:
        return predict_sampled(passes, costs, written_bytes_per_second=10.0 * MIB, pending_seconds=8.0)

    assert told([full]) == pytest.approx(2.0 + 1.0 + 1.0 + 1.0)
    assert told([full], COSTS._replace(reads_back=True)) == pytest.approx(2.0 + 1.0 + 1.0 + 1.0 + 4.0)
    assert told([]) is None


def test_the_host_s_word_decides_nothing() -> None:
    """That the first delta's prediction is not below it does not say that passes gain no more."""
    full = a_pass(PassKind.FULL, dirty_mib=None, predicted=5.0)
    first = a_pass(predicted=40.0)
    assert isinstance(decide([full, first], BUDGET, 40.0, now=0.0), PassAgain)
    assert isinstance(decide([full, first, a_pass(predicted=40.0)], BUDGET, 40.0, now=0.0), CutOver)


@pytest.mark.parametrize(
    ("dirty_mib", "rate_mib", "fixed", "pending", "expected"),
    [
        (0.0, 100.0, 1.0, 100.0, 4.0),  # an idle guest: shutdown, fixed cost, start
        (10.0, 100.0, 1.0, 8.0, 5.0),  # 10 MiB/s over 8 s and the 2 s of the shutdown, at 100 MiB/s: 1 s
        (50.0, 100.0, 0.5, 18.0, 13.5),
    ],
)
def test_the_prediction_adds_up(
    dirty_mib: float, rate_mib: float, fixed: float, pending: float, expected: float
) -> None:
    """Shutdown, fixed cost, what was written since the last snapshot, and start."""
    passes = [FULL, a_pass(dirty_mib=dirty_mib, rate_mib=rate_mib, fixed=fixed)]
    assert predict_downtime(passes, COSTS, pending_seconds=pending) == pytest.approx(expected)


def test_snapshots_are_no_part_of_the_downtime() -> None:
    """The final pass reads the halted disks themselves."""
    passes = [FULL, a_pass(dirty_mib=0.0, fixed=3.0, snapshot=1.2)]
    assert predict_downtime(passes, COSTS, pending_seconds=0.0) == pytest.approx(3.0 + 1.8)


def test_a_pass_that_moved_little_says_nothing_of_throughput() -> None:
    """A few blocks measure the ends, not the way between."""
    assert throughput_of([FULL, a_pass(mib=1.0, rate_mib=3.0)]) == 100.0 * MIB
    assert throughput_of([FULL, a_pass(mib=64.0, rate_mib=30.0)]) == 30.0 * MIB
    assert throughput_of([a_pass(mib=1.0, rate_mib=3.0)]) == 3.0 * MIB
    assert throughput_of([]) == 0.0


def test_passes_that_moved_nothing_predict_the_fixed_costs() -> None:
    """An empty disk and an idle guest."""
    nothing = a_pass(mib=0.0, rate_mib=0.0, dirty_mib=0.0)
    assert predict_downtime([nothing], COSTS, pending_seconds=1.0) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("passes", "predicted", "expected"),
    [
        ([FULL], None, "no_dirty_rate"),
        ([FULL, a_pass()], 9.9, "target_downtime"),
        ([FULL, a_pass()], 10.0, "target_downtime"),
        ([FULL, a_pass()], 11.0, "not_yet"),
        ([FULL, a_pass(predicted=40.0), a_pass()], 30.0, "not_yet"),
        ([FULL, a_pass(predicted=40.0), a_pass()], 37.0, "no_gain"),
        ([FULL, a_pass(predicted=40.0), a_pass()], 50.0, "no_gain"),
        ([FULL, *[a_pass(predicted=1000.0)] * 8], 20.0, "max_passes"),
        ([FULL, *[a_pass(predicted=1000.0)] * 8], 5.0, "target_downtime"),
        ([a_pass(dirty_mib=None)], None, "no_dirty_rate"),  # gone on with from an earlier attempt's base
        ([a_pass(dirty_mib=None), a_pass()], 50.0, "not_yet"),
    ],
)
def test_decisions(passes: list[PassReport], predicted: float | None, expected: str) -> None:
    """Within the budget: now. Else another pass, while it gains and there are passes left."""
    decision = decide(passes, BUDGET, predicted, now=100.0)
    assert decision.reason == expected
    assert isinstance(decision, CutOver) is (expected in {"target_downtime", "max_passes", "no_gain"})
    if isinstance(decision, CutOver):
        assert decision.within_budget is (expected == "target_downtime")


def test_a_running_vm_gets_a_delta_pass_whatever_the_limits() -> None:
    """Even when the most passes are used up by the full one."""
    assert isinstance(decide([FULL], BUDGET._replace(max_passes=2), None, now=0.0), PassAgain)


@pytest.mark.parametrize(
    ("whole_mib", "pending", "speed", "seconds"),
    [
        (0, 20.0, Speed(), 2.0),
        (1000, 20.0, Speed(), 12.0),
        (0, 20.0, Speed(most_final=1.0 * MIB), 200.0),
    ],
)
def test_how_long_the_final_pass_reads(whole_mib: int, pending: float, speed: Speed, seconds: float) -> None:
    """What was written since the base, and disks without one whole; at what it may use."""
    passes = [a_pass()]
    found = predict_read(passes, pending_seconds=pending, whole_bytes=whole_mib * MIB, speed=speed)
    assert found == pytest.approx(seconds)


def test_without_any_pass_it_reads_as_earlier_migrations_did_or_a_gigabit_line_would() -> None:
    """A halted VM has only that one."""
    assert predict_read([], pending_seconds=0.0, whole_bytes=1000 * MIB) == pytest.approx(10.0)
    seen = Speed(seen=500.0 * MIB)
    assert predict_read([], pending_seconds=0.0, whole_bytes=1000 * MIB, speed=seen) == pytest.approx(2.0)


@pytest.mark.parametrize(("now", "wait"), [(100.0, 60.0), (130.0, 30.0), (500.0, 0.0)])
def test_the_interval_counts_from_the_last_pass_s_beginning(now: float, wait: float) -> None:
    """A pass that took longer than the interval is followed at once."""
    budget = BUDGET._replace(min_pass_interval_seconds=60.0)
    decision = decide([FULL, a_pass(started=100.0)], budget, 50.0, now=now)
    assert isinstance(decision, PassAgain)
    assert decision.wait_seconds == wait


@pytest.mark.parametrize(("dirty_mib", "converges"), [(10.0, True), (40.0, True), (150.0, False)])
def test_a_guest_faster_than_the_way_ends_by_no_gain(dirty_mib: float, converges: bool) -> None:
    """The model run pass by pass: below the throughput it reaches its floor, above it passes grow."""
    budget = Budget(target_downtime_seconds=6.0, max_passes=50, min_pass_interval_seconds=0.0)
    passes, length = [FULL], 101.0
    while True:
        mib = dirty_mib * length
        passes.append(a_pass(mib=mib, dirty_mib=dirty_mib))
        length = passes[-1].seconds
        predicted = predict_downtime(passes, COSTS, pending_seconds=length)
        decision = decide(passes, budget, predicted, now=0.0)
        if isinstance(decision, CutOver):
            break
        passes[-1] = msgspec.structs.replace(passes[-1], predicted_downtime_seconds=predicted)
    assert (decision.reason == "target_downtime") is converges
    assert len(passes) < 12


@pytest.mark.parametrize("reason", ["target_downtime", "max_passes", "no_gain"])
def test_decisions_are_told_with_figures(reason: str) -> None:
    """For the event and the warning."""
    told = explain(CutOver(reason, 12.34, within_budget=False), BUDGET)
    assert "12.3 s" in told
    assert "10.0 s" in told
    assert "12.3 s" in explain(PassAgain("not_yet", 12.34, 0.0), BUDGET)
    assert "unknown" in explain(PassAgain("not_yet", None, 0.0), BUDGET)


HELD = a_pass(rate_mib=5.0, throttled=True)
HELD_FULL = a_pass(PassKind.FULL, mib=10_000.0, rate_mib=5.0, dirty_mib=None, throttled=True)
LITTLE = a_pass(mib=1.0, rate_mib=3.0)


@pytest.mark.parametrize(
    ("passes", "speed", "mib", "bound"),
    [
        # Nothing was held back: as the newest pass that tells.
        ([FULL, a_pass(rate_mib=80.0)], Speed(), 80.0, False),
        ([FULL, a_pass(rate_mib=80.0)], Speed(seen=200.0 * MIB), 80.0, False),
        # A pass that ran freely tells more than those that were held back later, unless they were faster still.
        ([FULL, HELD, HELD], Speed(), 100.0, False),
        ([a_pass(rate_mib=3.0), HELD], Speed(), 5.0, False),
        # One that moved little tells nothing of it.
        ([HELD_FULL, LITTLE], Speed(), 5.0, True),
        # All were held back: an earlier migration tells, or else it is at least as fast as they were.
        ([HELD_FULL, HELD], Speed(seen=200.0 * MIB), 200.0, False),
        ([HELD_FULL, HELD], Speed(seen=2.0 * MIB), 5.0, False),
        ([HELD_FULL, HELD], Speed(), 5.0, True),
        # The final pass has limits too.
        ([FULL, HELD], Speed(most=5.0 * MIB, most_final=5.0 * MIB), 5.0, False),
        ([FULL, a_pass(rate_mib=80.0)], Speed(most_final=20.0 * MIB, seen=90.0 * MIB), 20.0, False),
        ([HELD_FULL, HELD], Speed(most_final=20.0 * MIB), 5.0, False),
        ([], Speed(), 0.0, False),
    ],
)
def test_what_the_final_pass_may_use(passes: list[PassReport], speed: Speed, mib: float, bound: bool) -> None:
    """It is exempt from the limits that earlier ones were held back by; where only those are known, they are the least it makes."""
    assert final_throughput(passes, speed) == mib * MIB
    assert is_upper_bound(passes, speed) is bound


def test_a_limit_on_early_passes_is_none_on_the_downtime() -> None:
    """100 MiB are to be sent: at 5 MiB/s as the deltas were, or at 100 MiB/s as the full copy was before the day began."""
    night, day = [FULL, HELD], [HELD_FULL, HELD]
    assert predict_downtime(night, COSTS, pending_seconds=8.0) == pytest.approx(3.0 + 1.0 + 1.0)
    assert predict_downtime(day, COSTS, pending_seconds=8.0) == pytest.approx(3.0 + 1.0 + 20.0)
    learned = Speed(most=5.0 * MIB, seen=50.0 * MIB)
    assert predict_downtime(day, COSTS, pending_seconds=8.0, speed=learned) == pytest.approx(3.0 + 1.0 + 2.0)
