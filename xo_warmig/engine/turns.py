"""One turn of a migration: steps from the facts onward, until disks are to be copied side by side or nothing follows.

A turn never raises for what befalls the migration: that is recorded, and decides the next step.
"""

import asyncio
import logging
from typing import NamedTuple

from xo_warmig.engine.course import Step, next_step
from xo_warmig.engine.cutover import begin_final, cut_over, stop_source, verify
from xo_warmig.engine.deciding import decide_what_follows, wait_or_word
from xo_warmig.engine.detaching import see_detached
from xo_warmig.engine.failures import as_warmig
from xo_warmig.engine.finish import commit
from xo_warmig.engine.passes import begin_pass, copy_disk_of_pass, disks_to_copy, judge_pass
from xo_warmig.engine.prepare import prepare
from xo_warmig.engine.showing import end_showing
from xo_warmig.engine.standing import await_commit, hold_for_operator, stand_still
from xo_warmig.engine.starting import StartFailed, check_boot, start_and_measure
from xo_warmig.engine.undo import finish_undo, go_back, rolled_back
from xo_warmig.engine.work import Work
from xo_warmig.errors import Cancelled, SafetyError
from xo_warmig.model.events import Paused
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import WaitingFor
from xo_warmig.replication.tasks import together

log = logging.getLogger("xo_warmig.engine")


class Turn(NamedTuple):
    """What follows a turn: disks of pass ``number`` to copy side by side, or, with ``ended``, nothing."""

    ended: bool
    number: int = 0
    disks: tuple[str, ...] = ()


_FORWARD = {
    Step.PREPARE: prepare,
    Step.BEGIN_PASS: begin_pass,
    Step.JUDGE: judge_pass,
    Step.DECIDE: decide_what_follows,
    Step.CUT_OVER: cut_over,
    Step.STOP_SOURCE: stop_source,
    Step.BEGIN_FINAL: begin_final,
    Step.VERIFY: verify,
}
_BEYOND = {
    Step.START: start_and_measure,
    Step.CHECK: check_boot,
    Step.AWAIT_COMMIT: await_commit,
    Step.COMMIT: commit,
}


async def take_turn(work: Work) -> Turn:
    """Do what comes next, again and again; returns when disks are to be copied, or at the end."""
    while True:
        await work.parked_if_closing()
        step = next_step(work.state)
        if step is Step.END:
            end_showing(work)
            return Turn(ended=True)
        plan = work.state.open_pass
        if step is not Step.COPY or plan is None:
            await perform(work, step)
        elif plan.kind is PassKind.FINAL:
            await copy_in_turn(work, plan.number)
        else:
            return Turn(False, plan.number, tuple(disks_to_copy(work)))


async def copy_in_turn(work: Work, number: int) -> None:
    """The final pass is never resumed (R22), so a driver need not remember its disks one by one: in the downtime that takes its time."""
    await together(*(copy_disk(work, number, disk) for disk in disks_to_copy(work)))


async def perform(work: Work, step: Step) -> None:
    """One step; whatever it fails of leads to where the facts then say."""
    log.debug("migration %s: %s", work.id, step)
    if step in _FORWARD or step is Step.PAUSE:
        await forward(work, step)
    elif step in _BEYOND:
        await beyond_the_door(work, step)
    elif step is Step.CANCEL:
        await go_back(work, work.trouble or Cancelled("the migration was cancelled"))
    elif step is Step.ROLL_BACK:
        await go_back(work, rolled_back(work))
    else:
        await finish_undo(work)


async def forward(work: Work, step: Step) -> None:
    """A step that can be undone: what it fails of is, and somebody's word interrupts it."""
    body = stay_paused if step is Step.PAUSE else _FORWARD[step]
    try:
        if work.trouble is not None:
            raise work.trouble
        await work.interruptible(body(work))
    except asyncio.CancelledError:
        if not work.was_interrupted():
            raise
    except Cancelled:
        return  # the facts say so too
    except Exception as failure:
        error = as_warmig(failure)
        log.info("migration %s: %s failed: %s", work.id, step, error)
        await go_back(work, error)


async def beyond_the_door(work: Work, step: Step) -> None:
    """Nothing here rolls back by itself, save a start that plainly failed."""
    try:
        await _BEYOND[step](work)
    except StartFailed as failed:
        await go_back(work, failed.refusal)
    except SafetyError as uncertain:
        if step is Step.COMMIT:
            await stand_still(work, uncertain)
        else:
            await hold_for_operator(work, uncertain, running=work.state.target_started)
    except Exception as failure:
        await stand_still(work, as_warmig(failure))


async def copy_disk(work: Work, number: int, disk: str) -> None:
    """One disk's part of a pass. A word that stops it leaves it open."""
    await work.parked_if_closing()
    try:
        await copy_disk_of_pass(work, number, disk)
    except asyncio.CancelledError:
        if not work.was_interrupted():
            raise


async def stay_paused(work: Work) -> None:
    """Let go of everything, say so, and wait for a word (R10)."""
    end_showing(work)
    await work.drop_held()
    if not work.state.paused:
        await see_detached(work, work.target, [disk.vdi for disk in work.state.target_disks.values()])
        await see_detached(work, work.source, list(work.state.snapshots))
        await work.journal.record(Paused())
    await work.journal.wait_for(WaitingFor.OPERATOR, "paused: warmMigration.resume goes on")
    while work.state.pause_asked and not work.state.cancel_asked:
        await wait_or_word(work, work.settings.operator_look_seconds, work.journal.count)
    if not work.state.cancel_asked:
        await work.journal.wait_for(WaitingFor.NOTHING)
