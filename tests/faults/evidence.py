"""What can be known from outside of one migration: looks at both pools before and after, their traces, report and events.

Values and questions about them; nothing here asks a pool. The two pools and the tests read one clock, so times of both traces can be
compared.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]

STARTS = ("VM.start", "VM.start_on", "VM.resume", "VM.resume_on", "VM.hard_reboot", "VM.clean_reboot", "VM.unpause")
STOPS = ("VM.clean_shutdown", "VM.hard_shutdown", "VM.shutdown")
_MARK = "xo_warmig"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the migration was told to do."""

    started: bool
    delete: bool = False
    on_failure: str = "keep"
    may_cut_power: bool = False
    discards: bool = False  # the target's changes, after its start


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One pool at one moment: ``state`` is that of ``/_sim/state``, with hashes where they were asked for.

    ``vms``: XAPI's own records by uuid, each with its ``ref``. ``tasks``: XAPI's records.
    """

    state: Json
    vms: dict[str, Json] = {}
    tasks: list[Json] = []

    def vm(self, uuid: str | None) -> Json | None:
        """The VM in ``state``."""
        return _with_uuid(self.state["vms"], uuid)

    def vdi(self, uuid: str | None) -> Json | None:
        return _with_uuid(self.state["vdis"], uuid)

    def disks(self, vm: str | None) -> list[str]:
        """uuids of the VM's disks, in the order of their devices."""
        found = self.vm(vm) or {"vbds": []}
        disks = [vbd for vbd in found["vbds"] if vbd["type"] == "Disk" and vbd["vdi"]]
        return [vbd["vdi"] for vbd in sorted(disks, key=lambda vbd: int(vbd["userdevice"]))]


class Sides(NamedTuple):
    """The same of both pools."""

    source: Any
    target: Any


class Stretch(NamedTuple):
    """A time in which a VM was live, in seconds since the epoch."""

    begin: float
    end: float


class Blocking(NamedTuple):
    """A change of a VM's blocked operations."""

    begin: float
    end: float
    before: dict[str, str]
    after: dict[str, str]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One migration of the VM ``vm``, which ended in one of the phases ``expected``.

    ``before`` and ``after`` hold a ``Look`` of each side, ``traces`` the trace of each since before. ``bystanders``: VMs that no
    migration concerns. ``halted``: the source as it was seen halted; needed where it is gone in the end.
    """

    vm: str
    asked: Asked
    expected: tuple[str, ...]
    before: Sides
    after: Sides
    traces: Sides
    report: Json
    events: list[Json]
    bystanders: frozenset[str] = frozenset()
    halted: Look | None = None

    @property
    def phase(self) -> str:
        return str(self.report["phase"])

    @property
    def done(self) -> bool:
        return self.phase == "done"

    @property
    def given_back(self) -> bool:
        """Whether it ended before a start of the target came true, or with what the target wrote discarded."""
        return self.phase in ("failed", "cancelled")

    @property
    def source_before(self) -> Json:
        """XAPI's record."""
        return dict(self.before.source.vms[self.vm])

    @property
    def source_after(self) -> Json | None:
        found: Json | None = self.after.source.vms.get(self.vm)
        return found

    @property
    def source_at_last(self) -> Look | None:
        """The newest look that has the source."""
        return self.after.source if self.after.source.vm(self.vm) is not None else self.halted

    @property
    def name(self) -> str:
        """Of the VM; the names of its disks, and of everything that is made of them, begin with it."""
        return str(self.source_before["name_label"])

    @property
    def target_vm(self) -> str | None:
        uuid = self.report["targetVm"]
        return None if uuid is None else str(uuid)

    def told(self, kind: str) -> list[Json]:
        """The events of a type."""
        return [each["event"] for each in self.events if each["event"]["type"] == kind]

    def warned(self, code: str) -> bool:
        return any(warning["code"] == code for warning in self.report["warnings"])

    def calls(
        self, side: str, names: Iterable[str], refs: Iterable[str] | None = None, *, good: bool = True
    ) -> list[Json]:
        """Calls of a side by the begin of each: by globs of their names, on these objects, only those that succeeded."""
        found = [
            call
            for call in getattr(self.traces, side)["calls"]
            if any(fnmatchcase(call["method"].removeprefix("Async."), name) for name in names)
            and (refs is None or (call["args"] and call["args"][0] in refs))
            and not (good and call["error"])
        ]
        return sorted(found, key=lambda call: float(call["started"]))

    def transfers(self, side: str, vdis: Iterable[str], *, good: bool = True) -> list[Json]:
        wanted = set(vdis)
        entries = getattr(self.traces, side)["transfers"]
        return [each for each in entries if each["vdi"] in wanted and not (good and each["error"])]

    def listings(self, vdi: str) -> list[Json]:
        """The calls by which the source's pool told what was written to a disk of it."""
        ref = (self.before.source.vdi(vdi) or {}).get("ref")
        return [call for call in self.calls("source", ["VDI.list_changed_blocks"]) if ref and ref in call["args"][1:]]

    @property
    def source_refs(self) -> set[str]:
        return {self.source_before["ref"]}

    @property
    def target_refs(self) -> set[str]:
        """Every VM that this migration made, those too that are gone: they were made, or blocked, in its name."""
        found = {vm["ref"] for uuid, vm in self.after.target.vms.items() if uuid == self.target_vm}
        for call in self.calls("target", ["VM.set_blocked_operations"]):
            if any(_MARK in text and self.report["id"] in text for text in call["args"][1].values()):
                found.add(call["args"][0])
        return found

    def live(self, side: str) -> list[Stretch]:
        """When the source, or any target of this migration, was live."""
        refs = self.source_refs if side == "source" else self.target_refs
        at_first = side == "source" and self.source_before["power_state"] != "Halted"
        changes = [(each["time"], each["power_state"] != "Halted") for each in self.power(side)]
        if not changes:
            changes = [(call["started"], True) for call in self.calls(side, STARTS, refs)]
            changes += [(call["ended"], False) for call in self.calls(side, STOPS, refs)]
        return _stretches(sorted(changes), at_first=at_first)

    def power(self, side: str) -> list[Json]:
        """The changes of power state of the source, or of any target of this migration, where the trace has them."""
        refs = self.source_refs if side == "source" else self.target_refs
        records = {**getattr(self.before, side).vms, **getattr(self.after, side).vms}
        names = {uuid for uuid, vm in records.items() if vm["ref"] in refs} | (
            {self.target_vm} if side == "target" else set()
        )
        return [each for each in getattr(self.traces, side).get("power", []) if each["vm"] in names]

    def target_starts(self) -> list[float]:
        """When the target was started: by the calls that succeeded, and by its power, as a killed pool has no trace of its last calls."""
        calls = [call["started"] for call in self.calls("target", STARTS, self.target_refs)]
        return sorted([*calls, *(stretch.begin for stretch in self.live("target"))])

    def written_disks(self) -> list[str]:
        """The target's disks in the end; of those that were reverted, the ones that its start had found."""
        reverted = {event["vdi"]: event["disk"] for event in self.told("diskReverted")}
        made: dict[str, str] = {}
        for event in (each["event"] for each in self.events):
            if event["type"] in ("targetDiskCreated", "diskReplaced"):
                made[event["disk"]] = event["vdi"]
            elif event["type"] == "copyAdopted":
                made |= {each["disk"]: each["target"]["vdi"] for each in event["disks"]}
        return [made[reverted[vdi]] if vdi in reverted else vdi for vdi in self.after.target.disks(self.target_vm)]

    def is_live(self, side: str, time: float) -> bool:
        return any(stretch.begin <= time < stretch.end for stretch in self.live(side))

    def halted_since(self, time: float) -> float:
        """When the source had halted that was halted at ``time``; minus infinity when it was so all along."""
        return max((stretch.end for stretch in self.live("source") if stretch.end <= time), default=float("-inf"))

    def blocked(self, side: str, ref: str, time: float) -> dict[str, str]:
        """A VM's blocked operations at a time, from what stood there before and the calls that had ended by then."""
        now: dict[str, str] = dict(self.source_before["blocked_operations"]) if ref in self.source_refs else {}
        for change in self.blockings(side, ref):
            if change.end <= time:
                now = change.after
        return now

    def blockings(self, side: str, ref: str) -> Iterator[Blocking]:
        """Every change of a VM's blocked operations, in the order of their ends.

        From the states where the trace has them: a pool that was killed in the middle of a call has no line of that.
        """
        states = [each for each in getattr(self.traces, side).get("power", []) if each.get("ref") == ref]
        return self._blocking_states(ref, states) if states else self._blocking_calls(side, ref)

    def _blocking_states(self, ref: str, states: list[Json]) -> Iterator[Blocking]:
        now: dict[str, str] = dict(self.source_before["blocked_operations"]) if ref in self.source_refs else {}
        for each in sorted(states, key=lambda each: int(each["number"])):
            before, now = now, dict(each["blocked_operations"])
            if before != now:
                yield Blocking(each["time"], each["time"], before, now)

    def _blocking_calls(self, side: str, ref: str) -> Iterator[Blocking]:
        now: dict[str, str] = dict(self.source_before["blocked_operations"]) if ref in self.source_refs else {}
        calls = self.calls(side, ["VM.set_blocked_operations", "VM.*_blocked_operations"], {ref})
        for call in sorted(calls, key=lambda each: float(each["ended"])):
            before = dict(now)
            match call["method"].partition(".")[2]:
                case "set_blocked_operations":
                    now = dict(call["args"][1])
                case "add_to_blocked_operations":
                    now = {**now, call["args"][1]: call["args"][2]}
                case "remove_from_blocked_operations":
                    now = {name: text for name, text in now.items() if name != call["args"][1]}
                case _:
                    continue
            yield Blocking(call["started"], call["ended"], before, now)

    def kept(self) -> set[str]:
        """uuids of the disks and bases that the kept copy lists in the end, and of what is told to be left behind."""
        found: set[str] = set()
        for event in (each["event"] for each in self.events):
            match event["type"]:
                case "copyKept":
                    found = {disk["target"]["vdi"] for disk in event["disks"]}
                    found |= {disk["target"]["base"] for disk in event["disks"] if disk["target"].get("base")}
                case "copyReleased":
                    found = set()
        left = self.told("leftBehind")
        return found | ({each["uuid"] for each in left[-1]["objects"]} if left else set())


def _with_uuid(rows: list[Json], uuid: str | None) -> Json | None:
    return next((row for row in rows if row["uuid"] == uuid), None)


def _stretches(changes: Iterable[tuple[float, bool]], *, at_first: bool) -> list[Stretch]:
    found: list[Stretch] = []
    begin = float("-inf") if at_first else None
    for time, live in changes:
        if live and begin is None:
            begin = time
        elif not live and begin is not None:
            found.append(Stretch(begin, time))
            begin = None
    if begin is not None:
        found.append(Stretch(begin, float("inf")))
    return found


def on_show(events: Iterable[Json]) -> set[str]:
    """The uuids of the pools' tasks that show a migration, by its facts."""
    shown: dict[str, str] = {}
    for event in (each["event"] for each in events):
        if event["type"] == "poolTaskShown":
            shown[event["pool"]] = event["task"]
        elif event["type"] == "poolTaskDropped":
            shown.pop(event["pool"], None)
    return set(shown.values())
