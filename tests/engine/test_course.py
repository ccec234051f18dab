"""The next step, as a table over what is known."""

from typing import Any

import msgspec
import pytest

from tests.engine.store.facts import planned
from tests.replication.test_convergence import a_pass
from xo_warmig.engine.course import Step, next_step
from xo_warmig.engine.state import MigrationState
from xo_warmig.model.events import Decided, Decision
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, PassKind, PassPlan, Verdict
from xo_warmig.model.phases import CAN_PAUSE, TRANSITIONS, Phase, can_cancel, is_end
from xo_warmig.model.plans import TargetDisk

DISKS = ("disk-0", "disk-1")


def state(phase: Phase, **known: Any) -> MigrationState:
    fact = planned()
    return MigrationState(
        id="m-1", created=0.0, request=fact.request, user=fact.user, plan=fact.plan, phase=phase, **known
    )


def pass_plan(number: int, kind: PassKind = PassKind.DELTA) -> PassPlan:
    disks = [
        DiskPassPlan(
            disk=disk, read_vdi=f"snap-{number}", base=None, target_vdi="t", virtual_size_bytes=1, skip_zeros=True
        )
        for disk in DISKS
    ]
    return PassPlan(number=number, kind=kind, disks=disks)


def copied(*verdicts: Verdict) -> dict[str, DiskPassReport]:
    return {
        disk: DiskPassReport(
            disk=disk, verdict=verdict, read_bytes=0, written_bytes=0, seconds=0.0, transfer_seconds=0.0
        )
        for disk, verdict in zip(DISKS, verdicts, strict=False)
    }


def targets(base: str | None) -> dict[str, TargetDisk]:
    return {disk: TargetDisk(vdi=f"copy-of-{disk}", sr="sr", written=True, base=base) for disk in DISKS}


def after(*decisions: Decision, **known: Any) -> dict[str, Any]:
    """Two complete passes, and perhaps what was decided after them."""
    decided = [Decided(decision=each, reason="", predicted_downtime_seconds=None) for each in decisions]
    passes = [a_pass(PassKind.FULL), a_pass()]
    return {
        "passes": passes,
        "target_disks": targets("snap-2"),
        "decision": decided[-1] if decided else None,
        "decided_passes": len(passes) if decided else 0,
    } | known


@pytest.mark.parametrize(
    ("phase", "known", "step"),
    [
        (Phase.PLANNED, {}, Step.PREPARE),
        (Phase.PREPARING, {}, Step.PREPARE),
        (Phase.COPYING, {}, Step.BEGIN_PASS),
        (Phase.COPYING, {"pass_plan": pass_plan(1)}, Step.COPY),
        (Phase.COPYING, {"pass_plan": pass_plan(1), "copied": copied(Verdict.COMPLETE)}, Step.COPY),
        (Phase.COPYING, {"pass_plan": pass_plan(1), "copied": copied(*[Verdict.COMPLETE] * 2)}, Step.JUDGE),
        (Phase.COPYING, {"pass_plan": pass_plan(1), "copied": copied(Verdict.FAILED)}, Step.JUDGE),
        (Phase.COPYING, {"pass_plan": pass_plan(1), "copied": copied(Verdict.PARTIAL)}, Step.JUDGE),
        # The pass that broke is no base: another full one.
        (Phase.COPYING, {"passes": [msgspec.structs.replace(a_pass(), verdict=Verdict.FAILED)]}, Step.BEGIN_PASS),
        (Phase.SYNCING, after(), Step.DECIDE),
        (Phase.SYNCING, after(target_disks=targets(None)), Step.BEGIN_PASS),
        (Phase.SYNCING, after(Decision.PASS_AGAIN), Step.BEGIN_PASS),
        (Phase.SYNCING, after(Decision.CUT_OVER), Step.CUT_OVER),
        (Phase.SYNCING, after(Decision.HOLD), Step.DECIDE),
        # Decided before the last pass: that says nothing any more.
        (Phase.SYNCING, after(Decision.CUT_OVER, decided_passes=1), Step.DECIDE),
        (Phase.SYNCING, after(Decision.CUT_OVER, pass_plan=pass_plan(3)), Step.COPY),
        (Phase.HOLDING, after(Decision.CUT_OVER), Step.DECIDE),
        (Phase.STOPPING, after(), Step.STOP_SOURCE),
        (Phase.FINALISING, after(), Step.BEGIN_FINAL),
        (Phase.FINALISING, after(pass_plan=pass_plan(2)), Step.BEGIN_FINAL),
        (Phase.FINALISING, after(pass_plan=pass_plan(3, PassKind.FINAL)), Step.COPY),
        (
            Phase.FINALISING,
            after(pass_plan=pass_plan(3, PassKind.FINAL), copied=copied(Verdict.FAILED)),
            Step.JUDGE,
        ),
        (Phase.VERIFYING, after(), Step.VERIFY),
        (Phase.STARTING, {}, Step.START),
        (Phase.CHECKING, {}, Step.CHECK),
        (Phase.AWAITING_COMMIT, {}, Step.AWAIT_COMMIT),
        (Phase.AWAITING_COMMIT, {"commit_asked": True}, Step.COMMIT),
        (Phase.AWAITING_COMMIT, {"rollback_asked": True}, Step.ROLL_BACK),
        (Phase.COMMITTING, {}, Step.COMMIT),
        (Phase.ROLLING_BACK, {}, Step.UNDO),
        (Phase.CANCELLING, {}, Step.UNDO),
    ],
)
def test_the_next_step(phase: Phase, known: dict[str, Any], step: Step) -> None:
    """Follows from the facts alone."""
    assert next_step(state(phase, **known)) is step


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_step_and_only_ends_end(phase: Phase) -> None:
    """No phase is stuck."""
    assert (next_step(state(phase)) is Step.END) is is_end(phase)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("paused", [False, True])
def test_a_cancel_counts_exactly_where_it_can_be_asked_for(phase: Phase, paused: bool) -> None:
    """Before the start of the target was asked for; there it goes before everything else."""
    counts = next_step(state(phase, cancel_asked=True, pause_asked=paused)) is Step.CANCEL
    assert counts is can_cancel(phase)


@pytest.mark.parametrize("phase", [each for each in TRANSITIONS if not is_end(each)])
def test_a_pause_counts_where_it_can_be_asked_for(phase: Phase) -> None:
    """One that came too late changes nothing."""
    assert (next_step(state(phase, pause_asked=True)) is Step.PAUSE) is (phase in CAN_PAUSE)
