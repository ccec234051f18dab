"""A made-up migration that keeps every rule, as plain data that a test can spoil in one place."""

import copy
from collections.abc import Callable
from typing import Any

from tests.faults.evidence import Asked, Json, Look, Sides, Story
from tests.faults.rules_of_power import SOURCE_BLOCKS, TARGET_BLOCKS

ID = "m-1"
VM, TARGET = "vm-uuid", "target-uuid"
OURS = dict.fromkeys(sorted(SOURCE_BLOCKS), f"xo_warmig migration {ID}: moved")
UNTIL_WHOLE = dict.fromkeys(sorted(TARGET_BLOCKS), f"xo_warmig migration {ID}: not complete")


class Draft:
    """The parts of a story, open to changes."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.expected: tuple[str, ...] = ("done",)
        self.before = {"source": _side([_vm(VM, "Running")], _disks(VM)), "target": _side([_bystander()], [])}
        self.after = {
            "source": _side([_vm(VM, "Halted", blocked_operations=dict(OURS))], _disks(VM)),
            "target": _side([_bystander(), _target(asked)], _disks(TARGET)),
        }
        self.calls: dict[str, list[Json]] = {"source": _source_calls(), "target": _target_calls(asked)}
        self.transfers: dict[str, list[Json]] = {"source": _exports(), "target": _imports()}
        self.power = {
            "source": [powered(VM, 41, "Halted")],
            "target": [powered(TARGET, 62, "Running")] if asked.started else [],
        }
        self.report: Json = {"id": ID, "phase": "done", "targetVm": TARGET, "error": None, "warnings": []}
        self.events: list[Json] = _events(asked)
        self.halted: Look | None = None

    def vm(self, side: str, uuid: str) -> Json:
        """XAPI's record of the end, and what ``state`` shows of it, as one to change."""
        (found,) = [vm for vm in self.after[side]["vms"] if vm["uuid"] == uuid]
        return dict_of(found)

    def vdi(self, side: str, uuid: str) -> Json:
        (found,) = [vdi for vdi in self.after[side]["vdis"] if vdi["uuid"] == uuid]
        return dict_of(found)

    def remove(self, side: str, uuid: str) -> None:
        """From the end."""
        for kind in ("vms", "vdis"):
            self.after[side][kind] = [each for each in self.after[side][kind] if each["uuid"] != uuid]

    def story(self) -> Story:
        traces = [
            {"calls": self.calls[side], "transfers": self.transfers[side], "power": self.power[side]}
            for side in ("source", "target")
        ]
        return Story(
            vm=VM,
            asked=self.asked,
            expected=self.expected,
            before=Sides(_look(self.before["source"]), _look(self.before["target"])),
            after=Sides(_look(self.after["source"]), _look(self.after["target"])),
            traces=Sides(*traces),
            report=self.report,
            events=self.events,
            bystanders=frozenset({"bystander-uuid"}),
            halted=self.halted,
        )


def moved(*, started: bool = True, delete: bool = False) -> Draft:
    """One that is done."""
    draft = Draft(Asked(started=started, delete=delete))
    if delete:
        draft.halted = _look(draft.after["source"])
        for uuid in (VM, *_disk_names(VM)):
            draft.remove("source", uuid)
        draft.calls["source"].append(call("VM.destroy", 90, f"ref-{VM}"))
    return draft


def given_back(*, on_failure: str = "keep") -> Draft:
    """One that failed after the source had halted."""
    draft = Draft(Asked(started=True, on_failure=on_failure))
    draft.expected = ("failed",)
    draft.report |= {"phase": "failed", "error": {"code": "X", "message": "x"}}
    draft.after["source"] = copy.deepcopy(draft.before["source"])
    draft.calls["target"] = draft.calls["target"][:4]
    draft.power = {"source": [*draft.power["source"], powered(VM, 70, "Running")], "target": []}
    draft.calls["source"] += [
        call("VM.start", 70, f"ref-{VM}"),
        call("VM.set_blocked_operations", 72, f"ref-{VM}", {"clone": "theirs"}),
    ]
    draft.events = [each for each in draft.events if not each["event"]["type"].startswith("target")]
    if on_failure == "drop":
        for uuid in (TARGET, *_disk_names(TARGET)):
            draft.remove("target", uuid)
        return draft
    draft.vm("target", TARGET).update(
        power_state="Halted", blocked_operations=dict(UNTIL_WHOLE), ha_restart_priority="", other_config={}
    )
    kept = [{"target": {"vdi": vdi, "base": None}} for vdi in _disk_names(TARGET)]
    draft.events.append(_event(80, "copyKept", disks=kept))
    return draft


def call(method: str, at: float, *args: Any) -> Json:
    """One that took a second."""
    return {"method": method, "args": list(args), "started": float(at), "ended": at + 1.0, "error": None}


def powered(vm: str, at: float, state: str, own_state: str = "its own") -> Json:
    return {"time": float(at), "vm": vm, "power_state": state, "own_state": own_state}


def snapshot(uuid: str, **changes: Any) -> Json:
    """Of the source's first disk."""
    return _disk(uuid, f"{VM}-disk-0", "") | {"is_a_snapshot": True, "snapshot_of": f"{VM}-disk-0"} | changes


def task(words: str, **changes: Any) -> Json:
    plain = {"name_label": "xo_warmig import", "name_description": words, "status": "pending", "other_config": {}}
    return plain | {"uuid": "task"} | changes


def dict_of(value: Json) -> Json:
    """The very same, for the type checker."""
    return value


Spoil = Callable[[Draft], object]


def _look(side: Json) -> Look:
    side = copy.deepcopy(side)
    return Look(state=side, vms={vm["uuid"]: vm for vm in side["vms"]}, tasks=side["tasks"])


def _side(vms: list[Json], vdis: list[Json]) -> Json:
    return {
        "vms": vms,
        "vdis": [*vdis, _disk("bystander-disk", "", "theirs")],
        "snapshots": [],
        "dom0_vbds": [],
        "tasks": [],
    }


def _vm(uuid: str, power_state: str, **changes: Any) -> Json:
    vbds = [{"type": "Disk", "vdi": vdi, "userdevice": str(n)} for n, vdi in enumerate(_disk_names(uuid))]
    record = {
        "uuid": uuid,
        "ref": f"ref-{uuid}",
        "name_label": "moving",
        "power_state": power_state,
        "blocked_operations": {"clone": "theirs"},
        "other_config": {"auto_poweron": "true"},
        "ha_restart_priority": "restart",
        "name_description": "as it was",
        "is_a_template": False,
        "own_state": "its own",
        "vbds": vbds,
    }
    return record | changes


def _target(asked: Asked) -> Json:
    live: Json = {} if asked.started else {"ha_restart_priority": "", "other_config": {}}
    return _vm(TARGET, "Running" if asked.started else "Halted", blocked_operations={}, **live)


def _bystander() -> Json:
    disk = {"type": "Disk", "vdi": "bystander-disk", "userdevice": "0"}
    return _vm("bystander-uuid", "Halted") | {"name_label": "bystander", "vbds": [disk]}


def _disk_names(vm: str) -> list[str]:
    return [] if vm.startswith("bystander") else [f"{vm}-disk-0", f"{vm}-disk-1"]


def _disks(vm: str) -> list[Json]:
    return [_disk(uuid, "moving disk", f"content {uuid[-1]}") for uuid in _disk_names(vm)]


def _disk(uuid: str, name: str, content: str) -> Json:
    return {
        "uuid": uuid,
        "name_label": name and "moving disk",
        "managed": True,
        "is_a_snapshot": False,
        "snapshot_of": None,
        "ref": f"ref-{uuid}",
        "cbt_enabled": False,
        "virtual_size": 8,
        "other_config": {},
        "hash": content,
    }


def _source_calls() -> list[Json]:
    blocked = {"clone": "theirs", **OURS}
    return [call("VM.set_blocked_operations", 30, f"ref-{VM}", blocked), call("VM.clean_shutdown", 40, f"ref-{VM}")]


def _target_calls(asked: Asked) -> list[Json]:
    ref = f"ref-{TARGET}"
    ours = {"xo_warmig:migration": ID}
    created = {"is_a_template": True, "other_config": ours, "ha_restart_priority": ""}
    made = [
        call("VM.create", 10, created),
        call("VM.set_blocked_operations", 12, ref, dict(UNTIL_WHOLE)),
        call("VM.set_is_a_template", 14, ref, False),
        call("VBD.create", 16, {"VM": ref, "type": "Disk"}),
        call("VM.set_blocked_operations", 60, ref, {}),
    ]
    started = [call("VM.start", 62, ref, False, False), call("VM.set_ha_restart_priority", 85, ref, "restart")]
    return made + started if asked.started else made


def _exports() -> list[Json]:
    return [{"vdi": vdi, "started": 45.0, "ended": 48.0, "error": None} for vdi in _disk_names(VM)]


def _imports() -> list[Json]:
    times = {"started": 28.0, "ended": 49.0, "error": None}
    return [{"name": "import_raw_vdi", "vdi": vdi} | times for vdi in _disk_names(TARGET)]


def _events(asked: Asked) -> list[Json]:
    found = [
        _event(20, "passFinished", report={"kind": "full", "verdict": "complete", "bytes": 8}),
        _event(39, "shutdownAsked"),
        _event(51, "passFinished", report={"kind": "final", "verdict": "complete", "bytes": 8}),
    ]
    return found + ([_event(65, "targetStarted"), _event(80, "targetBooted")] if asked.started else [])


def _event(time: float, kind: str, **fields: Any) -> Json:
    return {"time": float(time), "event": {"type": kind, **fields}}
