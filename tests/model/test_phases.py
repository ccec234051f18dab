"""The table of phases: complete, without dead ends, and with the one line that matters where it must be."""

import pytest

from xo_warmig.errors import IncorrectState
from xo_warmig.model.phases import STAGES, TRANSITIONS, Phase, Stage, advance, can_cancel, is_end

ENDS = {Phase.DONE, Phase.FAILED, Phase.CANCELLED}
# From here on the target may hold writes that the source has not.
BEYOND = {Phase.STARTING, Phase.CHECKING, Phase.AWAITING_COMMIT, Phase.COMMITTING, Phase.DONE}


def reachable(start: Phase, *, without: frozenset[Phase] = frozenset()) -> set[Phase]:
    """All phases that some way leads to."""
    seen, todo = {start}, [start]
    while todo:
        for phase in TRANSITIONS[todo.pop()] - seen - without:
            seen.add(phase)
            todo.append(phase)
    return seen


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("to", list(Phase))
def test_advance_follows_the_table(phase: Phase, to: Phase) -> None:
    """Each pair is either a step or an error that names both phases."""
    if to in TRANSITIONS[phase]:
        assert advance(phase, to) is to
        return
    with pytest.raises(IncorrectState) as refused:
        advance(phase, to)
    assert phase in refused.value.message
    assert to in refused.value.message
    assert refused.value.evidence["actual"] == phase


def test_every_phase_has_a_row_and_a_stage() -> None:
    """And every stage a phase."""
    assert set(TRANSITIONS) == set(Phase)
    assert set(STAGES) == set(Phase)
    assert set(STAGES.values()) == set(Stage)


def test_all_phases_can_be_reached_and_end() -> None:
    """No phase is dead, none is a trap."""
    assert reachable(Phase.PLANNED) == set(Phase)
    for phase in Phase:
        assert reachable(phase) & ENDS


def test_only_the_three_ends_are_ends() -> None:
    """Their rows are empty."""
    assert {phase for phase in Phase if is_end(phase)} == ENDS


def test_no_cancel_is_possible_beyond_the_line() -> None:
    """Nor from an end or from a way back."""
    forward = {Phase.PLANNED, Phase.PREPARING, Phase.COPYING, Phase.SYNCING, Phase.HOLDING, Phase.STOPPING}
    assert {phase for phase in Phase if can_cancel(phase)} == forward | {Phase.FINALISING, Phase.VERIFYING}


def test_every_phase_before_the_line_can_roll_back() -> None:
    """Once anything was done."""
    before = set(Phase) - BEYOND - ENDS - {Phase.PLANNED, Phase.ROLLING_BACK, Phase.CANCELLING}
    assert all(Phase.ROLLING_BACK in TRANSITIONS[phase] for phase in before)


def test_the_start_is_reached_only_through_stopping_finalising_and_verifying() -> None:
    """No way leads past a stopped source, its last pass and the look at both sides."""
    for needed in (Phase.STOPPING, Phase.FINALISING, Phase.VERIFYING):
        assert Phase.STARTING not in reachable(Phase.PLANNED, without=frozenset({needed}))


def test_a_way_back_never_leads_forward() -> None:
    """Rolling back and cancelling end."""
    assert reachable(Phase.ROLLING_BACK) == {Phase.ROLLING_BACK, Phase.FAILED}
    assert reachable(Phase.CANCELLING) == {Phase.CANCELLING, Phase.CANCELLED, Phase.FAILED}
