"""Every rule finds what breaks it, in made-up migrations that are spoiled in one place each; one that is not spoiled passes."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.evidence import Asked
from tests.faults.rules import RULES, assert_rules, violations
from tests.faults.stories import (
    ID,
    OURS,
    TARGET,
    UNTIL_WHOLE,
    VM,
    Draft,
    Spoil,
    call,
    given_back,
    moved,
    powered,
    snapshot,
    task,
)

SOURCE, COPY = f"ref-{VM}", f"ref-{TARGET}"
GOOD: dict[str, Callable[[], Draft]] = {
    "started": moved,
    "left halted": lambda: moved(started=False),
    "deleted": lambda: moved(delete=True),
    "kept": given_back,
    "dropped": lambda: given_back(on_failure="drop"),
}


def without(name: str, blocks: dict[str, str] = OURS) -> dict[str, str]:
    return {operation: text for operation, text in blocks.items() if operation != name}


def change_call(draft: Draft, side: str, method: str, **changes: Any) -> None:
    for each in draft.calls[side]:
        if each["method"] == method:
            each.update(changes)


def drop_event(draft: Draft, kind: str) -> None:
    draft.events = [each for each in draft.events if each["event"]["type"] != kind]


def by_calls(draft: Draft) -> Draft:
    """Its traces have no power states, so that calls must tell."""
    draft.power = {"source": [], "target": []}
    return draft


def show(draft: Draft, status: str, *, uuid: str = "task", dropped: bool = False) -> None:
    """A task on the target that shows the migration, and what the facts say of it."""
    draft.after["target"]["tasks"].append(task(f"xo_warmig migration {ID}: from a to b", status=status, uuid=uuid))
    facts = [{"type": "poolTaskShown", "pool": "p", "task": "task"}, {"type": "poolTaskDropped", "pool": "p"}]
    draft.events += [{"time": 99.0, "event": fact} for fact in facts[: 2 if dropped else 1]]


# The rule that must be named, the migration that is spoiled, and how.
SPOILED: dict[str, tuple[str, str, Spoil]] = {
    "another end": ("END", "started", lambda d: setattr(d, "expected", ("failed",))),
    "no target": ("END", "started", lambda d: d.remove("target", TARGET)),
    "both live, by calls": (
        "R1",
        "started",
        lambda d: by_calls(d).calls["source"].append(call("VM.start", 70, SOURCE)),
    ),
    "both live, by power": (
        "R1",
        "started",
        lambda d: d.power.update(source=[powered(VM, 64, "Halted")]),
    ),
    "both live in the end": ("R1", "started", lambda d: d.vm("source", VM).update(power_state="Running")),
    "shut down unblocked": (
        "R1",
        "started",
        lambda d: change_call(d, "source", "VM.set_blocked_operations", started=40.5, ended=41.5),
    ),
    "shut down with one operation open": (
        "R1",
        "started",
        lambda d: change_call(d, "source", "VM.set_blocked_operations", args=[SOURCE, without("hard_reboot")]),
    ),
    "asked in vain while unblocked": (
        "R1",
        "kept",
        lambda d: d.calls["source"].insert(0, call("VM.clean_shutdown", 5, SOURCE) | {"error": "X"}),
    ),
    "kept source unblocked": (
        "R1",
        "started",
        lambda d: d.vm("source", VM).update(blocked_operations=without("start")),
    ),
    "target made as a VM": ("R1", "started", lambda d: d.calls["target"][0]["args"][0].update(is_a_template=False)),
    "target made a VM before it was blocked": (
        "R1",
        "started",
        lambda d: change_call(d, "target", "VM.set_is_a_template", started=11.0, ended=11.5),
    ),
    "target given disks before": (
        "R1",
        "started",
        lambda d: change_call(d, "target", "VBD.create", started=13.0, ended=13.5),
    ),
    "target started while the source shut down": (
        "R1",
        "left halted",
        lambda d: d.power.update(source=[powered(VM, 61.5, "Halted")]),
    ),
    "target started unasked": (
        "R1",
        "left halted",
        lambda d: d.calls["target"].append(call("VM.start", 70, COPY) | {"error": "X"}),
    ),
    "target runs unasked": ("R1", "left halted", lambda d: d.vm("target", TARGET).update(power_state="Running")),
    "target unblocked before its import": ("R1", "started", lambda d: d.transfers["target"][0].update(ended=60.5)),
    "target unblocked after a failed import": ("R1", "started", lambda d: d.transfers["target"][1].update(error="CUT")),
    "target started without the last read": ("R1", "started", lambda d: d.transfers["source"].pop()),
    "source unblocked at the target's start": (
        "R1",
        "started",
        lambda d: d.calls["source"].append(call("VM.remove_from_blocked_operations", 55, SOURCE, "start")),
    ),
    "target stays blocked": ("R1", "started", lambda d: d.vm("target", TARGET).update(blocked_operations=UNTIL_WHOLE)),
    "kept copy unblocked": ("R1", "kept", lambda d: d.vm("target", TARGET).update(blocked_operations={})),
    "kept copy live": ("R1", "kept", lambda d: d.vm("target", TARGET).update(power_state="Running")),
    "source destroyed unasked": ("R2", "started", lambda d: d.calls["source"].append(call("VM.destroy", 90, SOURCE))),
    "source destroyed before the boot": (
        "R2",
        "deleted",
        lambda d: change_call(d, "source", "VM.destroy", started=70.0),
    ),
    "source destroyed without a boot": ("R2", "deleted", lambda d: drop_event(d, "targetBooted")),
    "source gone": ("R2", "started", lambda d: d.remove("source", VM)),
    "a source's disk gone": ("R2", "kept", lambda d: d.remove("source", f"{VM}-disk-1")),
    "source not deleted": ("R2", "started", lambda d: setattr(d, "asked", Asked(started=True, delete=True))),
    "own disk read while live": ("R3", "started", lambda d: d.transfers["source"][0].update(started=39.0)),
    "own disk still read when given back": (
        "R3",
        "kept",
        lambda d: d.transfers["source"][0].update(ended=70.5, error="CUT"),
    ),
    "shutdown after a partial pass": (
        "R4",
        "started",
        lambda d: d.events[0]["event"]["report"].update(verdict="partial"),
    ),
    "start after a partial pass": ("R4", "started", lambda d: d.events[2]["event"]["report"].update(verdict="failed")),
    "done without a final pass": ("R4", "left halted", lambda d: d.events.pop()),
    "contents differ": ("R4", "started", lambda d: d.vdi("target", f"{TARGET}-disk-1").update(hash="other")),
    "contents of a deleted source not seen": ("R4", "deleted", lambda d: setattr(d, "halted", None)),
    "a disk fewer": ("R4", "started", lambda d: d.vm("target", TARGET)["vbds"].pop()),
    "not started again": ("R5", "kept", lambda d: d.vm("source", VM).update(power_state="Halted")),
    "blocks not put back": ("R5", "dropped", lambda d: d.vm("source", VM).update(blocked_operations={})),
    "other_config not put back": ("R5", "kept", lambda d: d.vm("source", VM).update(other_config={})),
    "started again with the target unblocked": (
        "R5",
        "kept",
        lambda d: d.calls["target"].append(call("VM.set_blocked_operations", 65, COPY, {})),
    ),
    "started again with the target live": (
        "R5",
        "kept",
        lambda d: d.power["target"].append(powered(TARGET, 65, "Running")),
    ),
    "nothing kept": ("R6", "kept", lambda d: drop_event(d, "copyKept")),
    "kept copy gone": ("R6", "kept", lambda d: d.remove("target", f"{TARGET}-disk-0")),
    "power cut": ("R7", "started", lambda d: d.calls["source"].append(call("VM.hard_shutdown", 42, SOURCE))),
    "target stopped": ("R7", "started", lambda d: d.calls["target"].append(call("VM.clean_shutdown", 95, COPY))),
    "bystander gone": ("R8", "started", lambda d: d.remove("target", "bystander-uuid")),
    "bystander changed": ("R8", "started", lambda d: d.vm("target", "bystander-uuid").update(name_description="ours")),
    "bystander's disk written": ("R8", "kept", lambda d: d.vdi("target", "bystander-disk").update(hash="ours")),
    "source renamed": ("R8", "started", lambda d: d.vm("source", VM).update(name_description="moved away")),
    "source's other_config changed": ("R8", "started", lambda d: d.vm("source", VM).update(other_config={})),
    "source's disk resized": ("R8", "kept", lambda d: d.vdi("source", f"{VM}-disk-0").update(virtual_size=9)),
    "note of a move that was not": (
        "R8",
        "kept",
        lambda d: d.vm("source", VM)["other_config"].update({"xo_warmig:moved": "x"}),
    ),
    "user's snapshot of a disk gone": (
        "R8",
        "started",
        lambda d: d.before["source"]["vdis"].append(snapshot("theirs")),
    ),
    "user's snapshot gone": (
        "R8",
        "started",
        lambda d: d.before["source"]["snapshots"].append(
            {"uuid": "s", "snapshot_of": VM, "name_label": "s", "other_config": {}}
        ),
    ),
    "disk held": ("R10", "started", lambda d: d.after["source"]["dom0_vbds"].append({"vdi": f"{VM}-disk-0"})),
    "snapshot left": ("R11", "started", lambda d: d.after["source"]["vdis"].append(snapshot("left"))),
    "way back left": ("R11", "started", lambda d: d.after["target"]["vdis"].append(snapshot("left"))),
    "snapshot left that no copy lists": ("R11", "kept", lambda d: d.after["source"]["vdis"].append(snapshot("left"))),
    "disk left by its tag": (
        "R11",
        "started",
        lambda d: d.after["target"]["vdis"].append(
            snapshot("left", is_a_snapshot=False, name_label="x", other_config={"xo_warmig:migration": ID})
        ),
    ),
    "second target left": (
        "R11",
        "started",
        lambda d: d.after["target"]["vms"].append(d.vm("target", TARGET) | {"uuid": "second"}),
    ),
    "target left though dropped": (
        "R11",
        "dropped",
        lambda d: d.after["target"]["vms"].append(
            {**d.vm("source", VM), "uuid": TARGET, "ref": COPY, "power_state": "Halted"}
        ),
    ),
    "copy kept though to be dropped": (
        "R11",
        "kept",
        lambda d: setattr(d, "asked", Asked(started=True, on_failure="drop")),
    ),
    "made with auto-power-on": (
        "R13",
        "started",
        lambda d: d.calls["target"][0]["args"][0]["other_config"].update(auto_poweron="true"),
    ),
    "made with HA": ("R13", "started", lambda d: d.calls["target"][0]["args"][0].update(ha_restart_priority="restart")),
    "HA before the start": (
        "R13",
        "started",
        lambda d: change_call(d, "target", "VM.set_ha_restart_priority", started=61.0),
    ),
    "HA not restored": ("R13", "started", lambda d: d.vm("target", TARGET).update(ha_restart_priority="")),
    "HA on a target left halted": (
        "R13",
        "left halted",
        lambda d: d.vm("target", TARGET).update(ha_restart_priority="restart"),
    ),
    "auto-power-on on a kept copy": (
        "R13",
        "kept",
        lambda d: d.vm("target", TARGET)["other_config"].update(auto_poweron="true"),
    ),
    "key left on the source": (
        "R16",
        "started",
        lambda d: d.vm("source", VM)["other_config"].update({"xo_warmig:door": "x"}),
    ),
    "tracking left on": ("R5", "started", lambda d: d.vdi("source", f"{VM}-disk-0").update(cbt_enabled=True)),
    "tracking left on beside a copy that does not need it": (
        "R5",
        "kept",
        lambda d: d.vdi("source", f"{VM}-disk-0").update(cbt_enabled=True),
    ),
    "key left on a disk": (
        "R16",
        "kept",
        lambda d: d.vdi("source", f"{VM}-disk-0").update(other_config={"xo_warmig:tag": "x"}),
    ),
    "import open at the start": (
        "R17",
        "started",
        lambda d: d.transfers["target"].append(d.transfers["target"][0] | {"ended": 70.0}),
    ),
    "own state not carried": (
        "STATE",
        "started",
        lambda d: d.power.update(target=[powered(TARGET, 62, "Running", "older")]),
    ),
    "own state not carried to a target left halted": (
        "STATE",
        "left halted",
        lambda d: d.vm("target", TARGET).update(own_state="older"),
    ),
    "own state not known": ("STATE", "left halted", lambda d: d.vm("target", TARGET).pop("own_state")),
    "task that shows it left": ("TASKS", "started", lambda d: show(d, "success", dropped=True)),
    "task that shows it not ended": ("TASKS", "started", lambda d: show(d, "pending")),
    "task of another on show": ("TASKS", "started", lambda d: show(d, "success", uuid="another")),
    "task left": ("TASKS", "started", lambda d: d.after["target"]["tasks"].append(task(f"disk {TARGET}-disk-0"))),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_migration_that_keeps_all_rules_passes(name: str) -> None:
    assert_rules(GOOD[name]().story())


def test_a_task_that_shows_how_it_ended_may_stand_for_a_while() -> None:
    draft = moved()
    show(draft, "success")
    assert_rules(draft.story())


@pytest.mark.parametrize("name", ["started", "kept"])
def test_calls_tell_who_is_live_where_power_states_do_not(name: str) -> None:
    draft = GOOD[name]()
    states = draft.story()
    calls = by_calls(draft).story()
    for side in ("source", "target"):
        assert len(states.live(side)) == len(calls.live(side))
        assert [len(set(stretch) - {float("inf"), float("-inf")}) for stretch in calls.live(side)] == [
            len(set(stretch) - {float("inf"), float("-inf")}) for stretch in states.live(side)
        ]


@pytest.mark.parametrize("name", SPOILED)
def test_what_breaks_a_rule_is_found(name: str) -> None:
    rule, good, spoil = SPOILED[name]
    draft = GOOD[good]()
    spoil(draft)
    found = violations(draft.story())
    assert any(each.startswith(f"{rule}: ") for each in found), found


@pytest.mark.parametrize("asked", [True, False])
def test_a_target_is_stopped_only_after_somebody_gave_up_its_changes(asked: bool) -> None:
    """Whatever the migration was told to do at first."""
    draft = moved()
    draft.asked = Asked(started=True, discards=True)
    draft.calls["target"].append(call("VM.clean_shutdown", 95, COPY))
    if asked:
        draft.events.append({"time": 94.0, "event": {"type": "rollbackAsked"}})
    assert ("R7: the target was stopped" in violations(draft.story())) is not asked


def test_every_rule_is_broken_by_something() -> None:
    """Each function of each rule finds at least one of the spoiled migrations."""
    rules = {rule for functions in RULES.values() for rule in functions}
    for _, good, spoil in SPOILED.values():
        draft = GOOD[good]()
        spoil(draft)
        story = draft.story()
        rules -= {rule for rule in rules if list(rule(story))}
    assert not rules


def test_all_violations_are_in_one_error() -> None:
    draft = moved()
    draft.vm("source", VM).update(power_state="Running", name_description="gone")
    with pytest.raises(AssertionError) as error:
        assert_rules(draft.story())
    assert "R1: " in str(error.value)
    assert "R8: " in str(error.value)


def test_blocks_are_known_from_states_where_a_call_has_no_line() -> None:
    """A pool that was killed between a call's effect and its line in the trace; calls count only where there are no states."""
    story = moved().story()
    ref = SOURCE
    assert list(story.blockings("source", ref))
    states = [
        {
            "number": 1,
            "time": 5.0,
            "vm": VM,
            "ref": ref,
            "power_state": "Running",
            "blocked_operations": {"start": "a"},
        },
        {"number": 2, "time": 6.0, "vm": VM, "ref": ref, "power_state": "Halted", "blocked_operations": {"start": "a"}},
        {"number": 3, "time": 7.0, "vm": VM, "ref": ref, "power_state": "Halted", "blocked_operations": {}},
    ]
    story.traces.source["power"] = states
    before = dict(story.source_before["blocked_operations"])
    assert [(each.end, each.before, each.after) for each in story.blockings("source", ref)] == [
        (5.0, before, {"start": "a"}),
        (7.0, {"start": "a"}, {}),
    ]
    assert story.blocked("source", ref, 6.5) == {"start": "a"}
