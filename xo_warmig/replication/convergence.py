"""When to cut over: the downtime that cutting over now would cost, and whether another pass would make it less.

The model of pre-copy: with throughput ``B`` and fixed cost ``o``, a pass that begins now moves what was written since the last snapshot
in ``o + D/B``, and the next one finds what is written in that time. It ends at a floor where passes gain no more.
"""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from xo_warmig.model.passes import PassKind, PassReport
from xo_warmig.model.units import MIB
from xo_warmig.replication.dirtying import written_within

# A pass whose prediction is not at least this part below the last one's gained nothing worth another snapshot.
LEAST_GAIN = 0.1
# Throughput of passes that moved less than this says more of their ends than of the way between.
SIGNIFICANT_BYTES = 16 * MIB
# Where nothing was ever measured between two pools: what a gigabit line takes. Whoever tells people of it says that it is assumed.
ASSUMED_BYTES_PER_SECOND = 100 * MIB


class Budget(NamedTuple):
    """What the caller asked for."""

    target_downtime_seconds: float
    max_passes: int
    min_pass_interval_seconds: float


class Speed(NamedTuple):
    """What is known of how fast a pass may be beside what passes measured, in bytes per second, each None where there is no such thing.

    ``most``: what a pass may use now; ``most_final``: what the final one may, which is exempt from limits unless told otherwise.
    ``seen``: what final passes of earlier migrations between the same pools made, those that no limit held back.
    """

    most: float | None = None
    most_final: float | None = None
    seen: float | None = None


NOTHING_KNOWN = Speed()


class Costs(NamedTuple):
    """What a cutover costs beside its transfer, in seconds. ``reads_back``: what the final pass writes is read back before the start."""

    shutdown_seconds: float
    start_seconds: float
    reads_back: bool = False


class CutOver(NamedTuple):
    """Stop the source now. ``within_budget`` False: passes end for another reason than the downtime being short enough."""

    reason: str
    predicted_downtime_seconds: float | None
    within_budget: bool


class PassAgain(NamedTuple):
    """Take another pass, ``wait_seconds`` from now."""

    reason: str
    predicted_downtime_seconds: float | None
    wait_seconds: float


def predict_downtime(
    passes: Sequence[PassReport], costs: Costs, *, pending_seconds: float, speed: Speed = NOTHING_KNOWN
) -> float | None:
    """Seconds without a running VM if the cutover began now; None before any pass gave a dirty rate.

    Args:
        pending_seconds: how long ago the last snapshot was taken.
    """
    deltas = measured(passes)
    if not deltas:
        return None
    # The guest writes until it is down.
    pending_bytes = written_within(passes, pending_seconds + costs.shutdown_seconds)
    throughput = final_throughput(passes, speed)
    transfer_seconds = pending_bytes / throughput if throughput > 0 else 0.0
    # The least fixed cost seen of a delta, but for its snapshots: the final pass takes none.
    fixed_seconds = min(each.fixed_seconds - each.snapshot_seconds - each.read_back_seconds for each in deltas)
    back_seconds = read_back_seconds(passes, pending_bytes) if costs.reads_back else 0.0
    return costs.shutdown_seconds + fixed_seconds + transfer_seconds + back_seconds + costs.start_seconds


def predict_sampled(
    passes: Sequence[PassReport],
    costs: Costs,
    *,
    written_bytes_per_second: float,
    pending_seconds: float,
    speed: Speed = NOTHING_KNOWN,
) -> float | None:
    """The same before any delta told, by what the VM's host saw it write; for people, as nothing is decided by it.

    What a pass costs beside its data is taken of the last one. None without passes.
    """
    throughput = final_throughput(passes, speed)
    if not passes or throughput <= 0:
        return None
    pending_bytes = written_bytes_per_second * (pending_seconds + costs.shutdown_seconds)
    fixed_seconds = passes[-1].fixed_seconds - passes[-1].snapshot_seconds - passes[-1].read_back_seconds
    back_seconds = read_back_seconds(passes, pending_bytes) if costs.reads_back else 0.0
    return costs.shutdown_seconds + fixed_seconds + pending_bytes / throughput + back_seconds + costs.start_seconds


def read_back_seconds(passes: Sequence[PassReport], pending_bytes: float) -> float:
    """How long reading back a pass of so many bytes takes, by those that were read back; 0 where none was.

    Over NBD a pass reads its own blocks. From an export it reads more, whatever it wrote, and the next one as much again.
    """
    seen = [each for each in passes if each.read_back_bytes > 0]
    if not seen:
        return 0.0
    least, most = (choose(seen, key=lambda each: each.read_back_bytes) for choose in (min, max))
    to_read_bytes = seen[-1].read_back_bytes - seen[-1].written_bytes + pending_bytes
    rate = most.read_back_bytes / max(most.read_back_seconds, 0.001)
    return least.read_back_seconds + max(0.0, to_read_bytes - least.read_back_bytes) / rate


def predict_read(
    passes: Sequence[PassReport], *, pending_seconds: float, whole_bytes: int, speed: Speed = NOTHING_KNOWN
) -> float:
    """Seconds for which a final pass that begins now reads its source.

    Args:
        pending_seconds: how long ago the last snapshot was taken.
        whole_bytes: what disks store that have no base yet, and so are read whole.
    """
    throughput = final_throughput(passes, speed) or speed.seen or ASSUMED_BYTES_PER_SECOND
    return (whole_bytes + written_within(passes, pending_seconds)) / throughput


def throughput_of(passes: Sequence[PassReport]) -> float:
    """Bytes per second as the newest pass that moved enough to tell saw it; else as the largest one did; 0 when none moved any."""
    for each in reversed(passes):
        if each.bytes >= SIGNIFICANT_BYTES and each.throughput_bytes_per_second > 0:
            return each.throughput_bytes_per_second
    largest = max(passes, key=lambda each: each.bytes, default=None)
    return 0.0 if largest is None else largest.throughput_bytes_per_second


def final_throughput(passes: Sequence[PassReport], speed: Speed) -> float:
    """What the final pass will make, as far as anything tells.

    A pass that a limit held back says only what can be made at least, where the final one is exempt from that limit. What can be made
    is known of passes that nothing held back, or of earlier migrations; where it is not, the prediction is an upper bound.
    """
    throughput = throughput_of(passes)
    if any(each.throttled for each in passes):
        free = [each for each in passes if not each.throttled and each.bytes >= SIGNIFICANT_BYTES]
        throughput = max(throughput, throughput_of(free) or speed.seen or 0.0)
    return throughput if speed.most_final is None else min(throughput, speed.most_final)


def is_upper_bound(passes: Sequence[PassReport], speed: Speed) -> bool:
    """Whether the final pass may be faster than all that its prediction rests on."""
    if speed.most_final is not None or speed.seen is not None or not passes:
        return False
    return all(each.throttled or each.bytes < SIGNIFICANT_BYTES for each in passes) and any(
        each.throttled for each in passes
    )


def decide(
    passes: Sequence[PassReport], budget: Budget, predicted_downtime_seconds: float | None, *, now: float
) -> CutOver | PassAgain:
    """What follows the last of ``passes``, all of them complete and none of them final.

    Args:
        passes: with the prediction that was made after each.
        predicted_downtime_seconds: the prediction after the last.
        now: seconds since the epoch.
    """
    again = PassAgain("not_yet", predicted_downtime_seconds, wait_seconds(passes, budget, now))
    if predicted_downtime_seconds is None:
        # Without a delta of known age there is no dirty rate: a running VM always gets one before its cutover.
        return again._replace(reason="no_dirty_rate")
    if predicted_downtime_seconds <= budget.target_downtime_seconds:
        return CutOver("target_downtime", predicted_downtime_seconds, within_budget=True)
    if len(passes) + 1 >= budget.max_passes:
        return CutOver("max_passes", predicted_downtime_seconds, within_budget=False)
    if not _gains(passes, predicted_downtime_seconds):
        return CutOver("no_gain", predicted_downtime_seconds, within_budget=False)
    return again


def _gains(passes: Sequence[PassReport], predicted_downtime_seconds: float) -> bool:
    """Whether the last delta brought the prediction down. One delta alone says nothing of that."""
    if len(passes) < 2 or passes[-1].kind is PassKind.FULL:
        return True
    # One that was made before any delta told is the word of the VM's host.
    before = passes[-2].predicted_downtime_seconds if measured(passes[:-1]) else None
    return before is None or predicted_downtime_seconds < before * (1 - LEAST_GAIN)


def measured(passes: Sequence[PassReport]) -> list[PassReport]:
    """The deltas of known age."""
    return [each for each in passes if each.dirty_bytes_per_second is not None]


def wait_seconds(passes: Sequence[PassReport], budget: Budget, now: float) -> float:
    """Until the next pass may begin."""
    if not passes:
        return 0.0
    return max(0.0, passes[-1].started + budget.min_pass_interval_seconds - now)


def explain(decision: CutOver | PassAgain, budget: Budget) -> str:
    """The decision in words, for people."""
    predicted = decision.predicted_downtime_seconds
    wanted = f"{budget.target_downtime_seconds:.1f} s"
    told = "unknown" if predicted is None else f"{predicted:.1f} s"
    match decision:
        case CutOver(reason="target_downtime"):
            return f"the predicted downtime of {told} is within the {wanted} asked for"
        case CutOver(reason="max_passes"):
            return f"the most passes ({budget.max_passes}) are taken; the predicted downtime is {told} where {wanted} were asked for"
        case CutOver():
            return f"passes no longer gain; the predicted downtime is {told} where {wanted} were asked for"
        case PassAgain():
            return f"the predicted downtime is {told} where {wanted} were asked for"
        case _:
            assert_never(decision)
