"""What follows a complete pass: another one, a wait, or the cutover; and telling why."""

from xo_warmig.engine.work import Work
from xo_warmig.model.events import Decided, Decision
from xo_warmig.model.passes import PassKind, PassReport, Verdict
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.requests import Verify
from xo_warmig.model.units import format_seconds
from xo_warmig.replication.convergence import (
    Budget,
    Costs,
    CutOver,
    PassAgain,
    Speed,
    explain,
    is_upper_bound,
    predict_downtime,
    predict_sampled,
)
from xo_warmig.replication.holding import Hold, Wish, decide_with, parse_wish


def complete_passes(work: Work) -> list[PassReport]:
    """Those over the running source that say something: the complete ones."""
    return [each for each in work.state.passes if each.verdict is Verdict.COMPLETE and each.kind is not PassKind.FINAL]


def predicted_now(work: Work) -> float | None:
    """The downtime if the cutover began now."""
    return predict_downtime(
        complete_passes(work), costs_of(work), pending_seconds=pending_seconds(work), speed=speed_of(work)
    )


async def sampled_now(work: Work) -> float | None:
    """The same by the word of the VM's host, while no delta of this migration tells how fast the guest writes."""
    written = await work.source.written_bytes_per_second(work.vm) if work.state.source_was_running else None
    if written is None:
        return None
    return predict_sampled(
        complete_passes(work),
        costs_of(work),
        written_bytes_per_second=written,
        pending_seconds=pending_seconds(work),
        speed=speed_of(work),
    )


def costs_of(work: Work) -> Costs:
    return Costs(work.shutdown_seconds, work.start_seconds, work.state.request.verify is Verify.FULL)


def speed_of(work: Work) -> Speed:
    """What limits leave to passes at this time of day, and what earlier migrations made without them."""
    most, most_final = (work.pacing.most(work.way, in_downtime=final) for final in (False, True))
    return Speed(most, most_final, work.seen_throughput)


def pending_seconds(work: Work) -> float:
    """How long ago what the target holds was frozen."""
    taken = [work.state.snapshots.get(disk.base or "") for disk in work.state.target_disks.values()]
    times = [each.taken for each in taken if each is not None and each.taken is not None]
    return max(0.0, work.clock.now() - min(times)) if times else 0.0


def decision_now(work: Work) -> CutOver | PassAgain | Hold:
    """What convergence and the caller's wish say at this moment."""
    return decide_with(
        complete_passes(work),
        budget_of(work),
        wish_of(work),
        predicted_now(work),
        now=work.clock.now(),
        most_bytes_per_second=speed_of(work).most,
    )


def budget_of(work: Work) -> Budget:
    request = work.state.request
    return Budget(request.target_downtime, request.max_passes, request.min_pass_interval)


def wish_of(work: Work) -> Wish:
    return parse_wish(work.state.request.cutover, work.state.cutover_asked)


async def decide_what_follows(work: Work) -> None:
    """Wait for as long as there is nothing to do, then decide: another pass or the cutover."""
    while True:
        seen = work.journal.count
        decision = decision_now(work)
        match decision:
            case CutOver():
                await conclude(work, decision)
                return
            case PassAgain(wait_seconds=0):
                await conclude(work, decision)
                return
            case PassAgain(wait_seconds=seconds):
                await work.journal.wait_for(WaitingFor.TIME, "the least time between passes")
                await work.journal.changed_within(seconds, seen)
            case Hold():
                await hold(work, decision, seen)


async def hold(work: Work, decision: Hold, seen: int) -> None:
    """Wait in the phase ``holding``, where the prediction is on show."""
    if work.state.phase is not Phase.HOLDING:
        await work.journal.record(_fact(work, decision))
        await work.journal.enter(Phase.HOLDING)
    if decision.for_time:
        await work.journal.wait_for(WaitingFor.TIME, f"the cutover is to be at {work.state.request.cutover}")
    else:
        await work.journal.wait_for(WaitingFor.OPERATOR, "holding: warmMigration.cutover goes on")
    work.journal.publish_progress()
    await work.journal.changed_within(min(decision.wait_seconds, work.settings.hold_look_seconds), seen)


async def conclude(work: Work, decision: CutOver | PassAgain) -> None:
    """Record the decision with its reason; warn where the downtime will be longer than asked for."""
    sampled = await sampled_now(work) if decision.reason == "no_dirty_rate" else None
    await work.journal.record(_fact(work, decision, sampled))
    await work.journal.enter(Phase.SYNCING)
    await work.journal.wait_for(WaitingFor.NOTHING)
    if isinstance(decision, CutOver) and not decision.within_budget:
        budget = budget_of(work)
        await work.journal.warn(
            "DOWNTIME_ABOVE_TARGET",
            f"cutting over although {explain(decision, budget)}{_at_most(work)}",
            reason=decision.reason,
            predicted_downtime_seconds=decision.predicted_downtime_seconds,
            target_downtime_seconds=budget.target_downtime_seconds,
            remedy="raise targetDowntime, or migrate when the VM writes less",
        )


def _at_most(work: Work) -> str:
    if not is_upper_bound(complete_passes(work), speed_of(work)):
        return ""
    return "; it may be shorter, as limits held back all passes so far and do not hold back the last one"


def _fact(work: Work, decision: CutOver | PassAgain | Hold, sampled: float | None = None) -> Decided:
    """``sampled``: what is told where nothing measured leads to a prediction."""
    kinds = {CutOver: Decision.CUT_OVER, PassAgain: Decision.PASS_AGAIN, Hold: Decision.HOLD}
    predicted = decision.predicted_downtime_seconds
    if isinstance(decision, Hold):
        told = "unknown" if predicted is None else format_seconds(predicted)
        reason = f"holding; the predicted downtime is {told}"
    elif sampled is not None:
        told = explain(decision._replace(predicted_downtime_seconds=sampled), budget_of(work))
        reason, predicted = f"by what its host saw the guest write, {told}", sampled
    else:
        reason = explain(decision, budget_of(work))
    return Decided(decision=kinds[type(decision)], reason=reason, predicted_downtime_seconds=predicted)
