"""What a migration must not touch and must not leave: R6, R8, R10, R11 and R16 from the states before and after."""

from collections.abc import Iterator

from tests.faults.evidence import Json, Look, Story, on_show

_PREFIX = "xo_warmig:"
_MOVED = "xo_warmig:moved"  # the note on a kept source
# What changes by itself on a VM that nobody touches.
_LIVELY = frozenset({"allowed_operations", "current_operations", "ref", "platform", "NVRAM"})
# What a power cycle of ours changes on the source, or what a running VM changes of itself.
_OF_POWER = _LIVELY | {
    "power_state",
    "domid",
    "resident_on",
    "scheduled_to_be_resident_on",
    "metrics",
    "guest_metrics",
    "last_booted_record",
    "last_boot_CPU_flags",
    "memory_overhead",
    "memory_target",
    "requires_reboot",
    "hardware_platform_version",
    "bios_strings",
    "xenstore_data",
    "consoles",
    "suspend_VDI",
    "ha_always_run",
    "generation_id",
}
# What rule R8 allows on the source beside that; each is looked at by a rule of its own.
_ALLOWED = frozenset({"blocked_operations", "other_config", "ha_restart_priority"})
_OF_DISKS = frozenset(
    {"uuid", "name_label", "sr", "virtual_size", "managed", "is_a_snapshot", "snapshot_of", "other_config"}
)


def bystanders_unchanged(story: Story) -> Iterator[str]:
    """VMs that no migration concerns, their disks and their snapshots: there, and as they were."""
    for side in ("source", "target"):
        before: Look = getattr(story.before, side)
        after: Look = getattr(story.after, side)
        for uuid in sorted(story.bystanders & before.vms.keys()):
            now = after.vms.get(uuid)
            if now is None:
                yield f"the {side}'s bystander {uuid} is gone"
                continue
            yield from _differences(f"the {side}'s bystander {uuid}", before.vms[uuid], now, but=_LIVELY)
            for disk in before.disks(uuid):
                yield from _disk_differences(
                    before.vdi(disk), after.vdi(disk), contents=before.vms[uuid]["power_state"] == "Halted"
                )


def source_otherwise_unchanged(story: Story) -> Iterator[str]:
    after = story.source_after
    if after is None:
        return  # told by R2
    yield from _differences("the source", story.source_before, after, but=_OF_POWER | _ALLOWED)
    for disk in story.before.source.disks(story.vm):
        yield from _disk_differences(story.before.source.vdi(disk), story.after.source.vdi(disk), contents=False)
    before = {key: text for key, text in story.source_before["other_config"].items() if not key.startswith(_PREFIX)}
    now = {key: text for key, text in after["other_config"].items() if not key.startswith(_PREFIX)}
    if before != now:
        yield f"the source's other_config was {before} and is {now}"
    if _MOVED in after["other_config"] and not story.done:
        yield "a source that was given back says that it moved"


def nothing_of_others_gone(story: Story) -> Iterator[str]:
    """Snapshots that the source and its disks had before are not ours."""
    for vdi in _named(story, story.before.source):
        if vdi["is_a_snapshot"]:
            yield from _disk_differences(vdi, story.after.source.vdi(vdi["uuid"]), contents=False)
    present = {snapshot["uuid"] for snapshot in story.after.source.state["snapshots"]}
    for snapshot in story.before.source.state["snapshots"]:
        if snapshot["snapshot_of"] == story.vm and snapshot["uuid"] not in present:
            yield f"the user's snapshot {snapshot['uuid']} is gone"


def tracking_put_back(story: Story) -> Iterator[str]:
    """Changed block tracking of the source's disks is as it was, but where it serves a kept copy."""
    kept = (
        {disk["disk"] for event in story.told("copyKept") for disk in event["disks"] if disk.get("tracked")}
        if story.kept()
        else set()
    )
    for uuid in story.before.source.disks(story.vm):
        before, after = story.before.source.vdi(uuid), story.after.source.vdi(uuid)
        if before is None or after is None or uuid in kept:
            continue
        if before["cbt_enabled"] != after["cbt_enabled"]:
            yield f"tracking of the source's disk {uuid} was {before['cbt_enabled']} and is {after['cbt_enabled']}"


def nothing_attached(story: Story) -> Iterator[str]:
    """No control domain holds a disk of this migration."""
    for side in ("source", "target"):
        look: Look = getattr(story.after, side)
        ours = {vdi["uuid"] for vdi in _named(story, look)}
        for vbd in look.state["dom0_vbds"]:
            if vbd["vdi"] in ours:
                yield f"a control domain of the {side} has a VBD on {vbd['vdi']}"


def nothing_left(story: Story) -> Iterator[str]:
    """No VM, disk or snapshot that was made for this migration, but for the target of one that is done and for a kept copy."""
    kept = story.kept() if story.asked.on_failure == "keep" or story.done else set()
    before = {vdi["uuid"] for vdi in story.before.source.state["vdis"]} | {story.vm}
    target_disks = set(story.after.target.disks(story.target_vm)) if story.done else set()
    for side in ("source", "target"):
        look: Look = getattr(story.after, side)
        for vdi in _named(story, look):
            if vdi["uuid"] not in before | kept | target_disks:
                what = "snapshot" if vdi["is_a_snapshot"] else "disk"
                yield f"the {what} {vdi['uuid']} is left on the {side}"
        for vm in [*look.state["vms"], *look.state["snapshots"]]:
            wanted = vm["uuid"] == story.target_vm and (story.done or bool(kept))
            known = vm["uuid"] in before or any(
                old["uuid"] == vm["uuid"] for old in story.before.source.state["snapshots"]
            )
            if _is_ours(story, vm) and not wanted and not known:
                yield f"the VM {vm['uuid']} is left on the {side}"


def no_key_left(story: Story) -> Iterator[str]:
    """Of ours, on the source and on its disks: none but the note where the VM went."""
    look = story.after.source
    found = [(f"the source VM {story.vm}", look.vm(story.vm))]
    found += [(f"the source's disk {uuid}", look.vdi(uuid)) for uuid in story.before.source.disks(story.vm)]
    for what, there in found:
        keys = {key for key in (there or {"other_config": {}})["other_config"] if key.startswith(_PREFIX)} - {_MOVED}
        if keys:
            yield f"{what} has {sorted(keys)}"


def no_task_left(story: Story) -> Iterator[str]:
    """Of ours: those that we made for transfers of this VM's disks. The pool drops those of its own calls.

    What shows the migration may stand as long as the facts say so, and says itself whether the migration has ended.
    """
    shown, ended = on_show(story.events), story.phase != "awaiting_commit"
    for side in ("source", "target"):
        look: Look = getattr(story.after, side)
        ours = (
            {vdi["uuid"] for vdi in _named(story, look)}
            | set(story.before.source.disks(story.vm))
            | _touched(story, side)
        )
        for task in look.tasks:
            if task.get("uuid") in shown and (task["status"] != "pending") is ended:
                continue
            words = f"{task['name_label']} {task['name_description']} {task.get('other_config', {})}"
            if "xo_warmig" in words and any(uuid in words for uuid in {story.report["id"], *ours}):
                yield f"the task {task['name_label']} ({task['name_description']}) is left on the {side}, {task['status']}"


def kept_copy_stands(story: Story) -> Iterator[str]:
    """A failed migration that had copied something keeps it, where that was asked for; and what it lists is there."""
    if not story.given_back or story.asked.on_failure != "keep":
        return
    moved = any(each["event"]["type"] == "passFinished" and each["event"]["report"]["bytes"] for each in story.events)
    kept = {disk["target"]["vdi"] for event in story.told("copyKept") for disk in event["disks"]}
    if moved and not kept:
        yield "nothing of the copy was kept"
    for uuid in sorted(story.kept()):
        there = story.after.source.vdi(uuid) or story.after.target.vdi(uuid) or story.after.target.vm(uuid)
        if there is None and not story.warned("LEFT_BEHIND"):
            yield f"the kept copy lists {uuid}, which is gone"


def _named(story: Story, look: Look) -> list[Json]:
    """The managed VDIs of a pool that bear the name of this VM's disks, or the tag of this migration."""
    return [vdi for vdi in look.state["vdis"] if vdi["managed"] and _is_ours(story, vdi)]


def _is_ours(story: Story, there: Json) -> bool:
    tagged = there["other_config"].get("xo_warmig:migration") == story.report["id"]
    return tagged or str(there["name_label"]).startswith(story.name)


def _touched(story: Story, side: str) -> set[str]:
    """Disks of this migration that transfers named, those too that are gone."""
    ours = {event["vdi"] for event in story.told("targetDiskCreated")} | {
        event["snapshot"] for event in story.told("snapshotTaken")
    }
    return ours & {each["vdi"] for each in getattr(story.traces, side)["transfers"]}


def _differences(what: str, before: Json, after: Json, *, but: frozenset[str]) -> Iterator[str]:
    for field in sorted(before.keys() - but):
        if after.get(field) != before[field]:
            yield f"{what}: {field} was {before[field]} and is {after.get(field)}"


def _disk_differences(before: Json | None, after: Json | None, *, contents: bool) -> Iterator[str]:
    if before is None:
        return
    if after is None:
        yield f"the disk {before['uuid']} is gone"
        return
    fields = _OF_DISKS | {"hash"} if contents else _OF_DISKS - {"other_config"}
    for field in sorted(fields & before.keys()):
        if before[field] != after.get(field):
            yield f"the disk {before['uuid']}: {field} was {before[field]} and is {after.get(field)}"
