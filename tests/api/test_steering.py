"""``warmMigration.*`` methods that plan, steer and clean up, as clients call them."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import NoSuchObject
from xo_warmig.model.phases import Phase

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
STEERING = ("cutover", "pause", "resume", "cancel", "rollback", "commit")


def started(site: Any, client: Any, phase: Phase) -> str:
    """A migration that is in a phase."""
    id: str = client.call("warmMigration.start", **WARM)
    site.do(lambda: site.engine.move(id, phase=phase))
    return id


@pytest.mark.parametrize(
    ("method", "phase", "given", "asked"),
    [
        ("cutover", Phase.HOLDING, {}, {}),
        ("pause", Phase.SYNCING, {}, {}),
        ("resume", Phase.SYNCING, {}, {}),
        ("cancel", Phase.COPYING, {}, {"drop": None}),
        ("cancel", Phase.COPYING, {"drop": True}, {"drop": True}),
        ("cancel", Phase.COPYING, {"drop": False}, {"drop": False}),
        ("rollback", Phase.AWAITING_COMMIT, {"discardTargetChanges": True}, {"discard": True}),
        ("commit", Phase.AWAITING_COMMIT, {}, {}),
    ],
)
def test_a_migration_is_steered(
    site: Any, client: Any, method: str, phase: Phase, given: dict[str, Any], asked: dict[str, Any]
) -> None:
    """The engine is told once, with what was given, and the answer is true."""
    id = started(site, client, phase)
    before = len(site.engine.steered)
    assert client.call(f"warmMigration.{method}", id=id, **given) is True
    assert site.engine.steered[before:] == [(method, asked)]


def test_a_target_that_wrote_is_not_thrown_away_by_default(site: Any, client: Any) -> None:
    """The word for it has to be given."""
    id = started(site, client, Phase.AWAITING_COMMIT)
    error = client.error("warmMigration.rollback", {"id": id})
    assert (error["code"], error["data"]["code"]) == (25, "TARGET_HAS_CHANGES")
    assert site.engine.report(id).phase == "awaiting_commit"


@pytest.mark.parametrize("method", STEERING)
def test_in_another_phase_it_is_named(site: Any, client: Any, method: str) -> None:
    """XO's code 25 with its four members, and our sentence beside them."""
    id = started(site, client, Phase.CHECKING)
    error = client.error(f"warmMigration.{method}", {"id": id})
    assert (error["code"], error["message"]) == (25, "incorrect state")
    data = error["data"]
    assert (data["object"], data["property"], data["actual"]) == (id, "phase", "checking")
    assert "checking" not in data["expected"]
    assert data["expected"]
    assert "checking" in data["message"]


@pytest.mark.parametrize("method", STEERING)
def test_an_unknown_migration(client: Any, method: str) -> None:
    """XO's code 1 with what was named."""
    error = client.error(f"warmMigration.{method}", {"id": "none"})
    assert (error["code"], error["data"]["id"], error["data"]["type"]) == (1, "none", "migration")


@pytest.mark.parametrize("method", [*STEERING, "plan", "sweep"])
def test_steering_is_for_administrators(new_client: Callable[..., Any], method: str) -> None:
    """Before anything else is looked at."""
    error = new_client("reader@example.org").error(f"warmMigration.{method}", {"nonsense": 1})
    assert (error["code"], error["data"]) == (2, {"permission": "admin", "object": {}})


@pytest.mark.parametrize(
    ("method", "given", "at"),
    [
        ("cancel", {"id": "m", "drop": "yes"}, "/drop"),
        ("rollback", {"id": "m", "discardTargetChanges": 1}, "/discardTargetChanges"),
        ("commit", {"id": ""}, "/id"),
        ("sweep", {"remove": "all"}, "/remove"),
        ("plan", WARM | {"commit": "never"}, "/commit"),
        ("plan", WARM | {"commit": -1}, "/commit"),
    ],
)
def test_wrong_parameters(client: Any, method: str, given: dict[str, Any], at: str) -> None:
    """Code 10, at the member."""
    error = client.error(f"warmMigration.{method}", given)
    assert (error["code"], [one["instancePath"] for one in error["data"]["errors"]]) == (10, [at])


@pytest.mark.parametrize(
    ("method", "phase", "given", "end"),
    [
        ("pause", Phase.SYNCING, {}, ("syncing", True)),
        ("cancel", Phase.SYNCING, {}, ("cancelled", False)),
        ("rollback", Phase.AWAITING_COMMIT, {"discardTargetChanges": True}, ("failed", False)),
        ("commit", Phase.AWAITING_COMMIT, {}, ("done", False)),
    ],
)
def test_it_takes_effect_though_its_caller_has_gone(
    site: Any,
    new_client: Callable[..., Any],
    eventually: Callable[..., Any],
    method: str,
    phase: Phase,
    given: dict[str, Any],
    end: tuple[str, bool],
) -> None:
    """The connection ends between the request and its effect."""
    leaver, stayer = new_client(), new_client()
    id = started(site, leaver, phase)
    before, standing = len(site.engine.steered), len(site.connections())
    site.do(site.engine.may_act.clear)
    leaver.send(f"warmMigration.{method}", {"id": id} | given)
    eventually(lambda: len(site.engine.steered) > before)
    leaver.close()
    eventually(lambda: len(site.connections()) < standing)
    assert stayer.call("warmMigration.get", id=id)["phase"] == phase
    site.do(site.engine.may_act.set)

    def now() -> tuple[str, bool]:
        report = stayer.call("warmMigration.get", id=id)
        return report["phase"], report["paused"]

    eventually(lambda: now() == end)


def test_plan(site: Any, client: Any) -> None:
    """What stands in the way is no error of the call."""
    plan = client.call("warmMigration.plan", **WARM)
    assert (plan["vm"], plan["possible"], plan["firstPassBytes"]) == ("v", False, None)
    (finding,) = plan["findings"]
    assert (finding["code"], finding["severity"], finding["object"]) == ("NO_SPACE", "error", "s")
    site.engine.refuse["nowhere"] = NoSuchObject("no VM nowhere", evidence={"id": "nowhere", "type": "VM"})
    error = client.error("warmMigration.plan", WARM | {"vm": "nowhere"})
    assert (error["code"], error["data"]["id"]) == (1, "nowhere")


@pytest.mark.parametrize(("given", "removed"), [({}, False), ({"remove": False}, False), ({"remove": True}, True)])
def test_sweep_removes_only_when_asked(client: Any, given: dict[str, Any], removed: bool) -> None:
    """What is left, and the pools that nobody asked."""
    found = client.call("warmMigration.sweep", **given)
    assert [(one["object"]["uuid"], one["object"]["poolName"], one["removed"]) for one in found["objects"]] == [
        ("vdi-1", "amd", removed)
    ]
    assert found["notAsked"] == ["intel"]


def test_options_of_a_request_arrive(site: Any, client: Any) -> None:
    """A word or a number for the commit, and when to cut over."""
    for given, commit in (({}, "auto"), ({"commit": "manual"}, "manual"), ({"commit": 60}, 60), ({"commit": 0}, 0)):
        id = client.call("warmMigration.start", **WARM, **given, cutover="hold")
        assert (site.engine.report(id).request.commit, site.engine.report(id).request.cutover) == (commit, "hold")
