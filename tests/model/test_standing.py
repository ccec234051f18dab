"""Where a migration stands still."""

from typing import Any

import msgspec
import pytest

from xo_warmig.model.phases import STAGES, Phase, WaitingFor
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.standing import AWAITED, MOVING, Standing, Step, standing

REQUEST = WarmMigrationRequest(vm="v", sr="s", start_destination_vm=True, delete_source_vm=False)
REPORT = MigrationReport(
    id="m",
    vm="v",
    vm_name="web",
    source_pool="1",
    source_pool_name="intel",
    target_pool="2",
    target_pool_name="amd",
    sr="s",
    target_vm=None,
    request=REQUEST,
    user="u",
    phase=Phase.COPYING,
    stage=STAGES[Phase.COPYING],
    waiting_for=WaitingFor.NOTHING,
    progress=0.0,
    created=1.0,
    finished=None,
    current_pass=None,
    passes=[],
    predicted_downtime_seconds=None,
    downtime=None,
    warnings=[],
    error=None,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, MOVING),
        ({"waiting_for": WaitingFor.SLOT}, Standing(False, WaitingFor.SLOT, None, ())),
        ({"phase": Phase.HOLDING}, Standing(False, WaitingFor.OPERATOR, None, (Step.CUTOVER,))),
        ({"phase": Phase.HOLDING, "cutover_time": 9.0}, Standing(False, WaitingFor.TIME, 9.0, (Step.CUTOVER,))),
        ({"phase": Phase.HOLDING, "paused": True}, Standing(True, WaitingFor.OPERATOR, None, (Step.RESUME,))),
        (
            {"phase": Phase.AWAITING_COMMIT, "commit_time": 9.0},
            Standing(False, WaitingFor.TIME, 9.0, (Step.COMMIT, Step.ROLLBACK)),
        ),
        ({"phase": Phase.CANCELLING, "paused": True}, MOVING),
        ({"phase": Phase.DONE, "paused": True, "waiting_for": WaitingFor.POOL}, MOVING),
    ],
)
def test_standing(changes: dict[str, Any], expected: Standing) -> None:
    """A pause comes first, then the phase, then whatever else it waits for; an end waits for nothing."""
    assert standing(msgspec.structs.replace(REPORT, **changes)) == expected


def test_whatever_is_waited_for_has_words() -> None:
    """Tasks and the command line look them up while a migration waits."""
    assert set(AWAITED) == set(WaitingFor) - {WaitingFor.NOTHING}
