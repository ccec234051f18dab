"""Who may be live, who is blocked, who may be destroyed: R1, R2, R5, R7 and R13 from traces and states."""

from collections.abc import Iterator

from tests.faults.evidence import STARTS, STOPS, Story

SOURCE_BLOCKS = frozenset(
    [
        "start",
        "start_on",
        "resume",
        "resume_on",
        "hard_reboot",
        "clean_reboot",
        "suspend",
        "checkpoint",
        "reverting",
        "destroy",
        "migrate_send",
        "pool_migrate",
    ]
)
TARGET_BLOCKS = frozenset(["start", "start_on", "resume", "resume_on", "hard_reboot"])
_AUTO_POWERON = "auto_poweron"
# Of the source's record, what must be as it was found after a failure; what its power changes is looked at by itself.
_AS_FOUND = (
    "power_state",
    "blocked_operations",
    "other_config",
    "ha_restart_priority",
    "name_label",
    "name_description",
    "tags",
    "is_a_template",
    "VBDs",
    "VIFs",
    "snapshots",
    "generation_id",
    "affinity",
    "start_delay",
    "order",
)


def never_two_live(story: Story) -> Iterator[str]:
    for source in story.live("source"):
        for target in story.live("target"):
            begin, end = max(source.begin, target.begin), min(source.end, target.end)
            if begin < end:
                yield f"source and target were both live from {begin:.3f} to {end:.3f}"
    both = [
        side
        for side, look, vm in (
            ("source", story.after.source, story.vm),
            ("target", story.after.target, story.target_vm),
        )
        if (look.vm(vm) or {"power_state": "Halted"})["power_state"] != "Halted"
    ]
    if len(both) == 2:
        yield "source and target are both live in the end"


def source_blocked_for_its_shutdown(story: Story) -> Iterator[str]:
    for ref in story.source_refs:
        for call in story.calls("source", STOPS, {ref}, good=False):
            missing = SOURCE_BLOCKS - story.blocked("source", ref, call["started"]).keys()
            if missing:
                yield f"{call['method']} of the source was asked for with {sorted(missing)} not blocked"


def source_blocked_in_the_end(story: Story) -> Iterator[str]:
    vm = story.after.source.vm(story.vm)
    if vm is None or story.given_back:
        return
    if vm["power_state"] != "Halted":
        yield f"the source is {vm['power_state']} though its migration is {story.phase}"
    missing = SOURCE_BLOCKS - vm["blocked_operations"].keys()
    if missing:
        yield f"the kept source is not blocked against {sorted(missing)}"


def target_made_blocked(story: Story) -> Iterator[str]:
    for call in story.calls("target", ["VM.create"]):
        record = call["args"][0]
        ours = record.get("other_config", {}).get("xo_warmig:migration") == story.report["id"]
        if ours and not record.get("is_a_template"):
            yield "the target was not made as a template"
    for ref in story.target_refs:
        freed = [call for call in story.calls("target", ["VM.set_is_a_template"], {ref}) if call["args"][1] is False]
        for call in freed:
            missing = TARGET_BLOCKS - story.blocked("target", ref, call["started"]).keys()
            if missing:
                yield f"the target became a VM with {sorted(missing)} not blocked"
        for call in story.calls("target", ["VBD.create"]):
            record = call["args"][0]
            if (
                record.get("VM") == ref
                and record.get("type") == "Disk"
                and not any(f["ended"] <= call["started"] for f in freed)
            ):
                yield "the target was given a disk while it was a template"


def final_pass_complete(story: Story, time: float) -> Iterator[str]:
    """What of the final pass had not come true by that time, and what else had to be."""
    if story.is_live("source", time):
        yield "the source was not halted"
        return
    since = story.halted_since(time)
    for ref in story.source_refs:
        missing = SOURCE_BLOCKS - story.blocked("source", ref, time).keys()
        if missing:
            yield f"the source was not blocked against {sorted(missing)}"
    for vdi in story.before.source.disks(story.vm):
        reads = story.transfers("source", [vdi]) + story.listings(vdi)
        if not any(since <= each["started"] and each["ended"] <= time for each in reads):
            yield f"the source's disk {vdi} had not been read, nor what changed of it listed, since it halted"
    for vdi in story.written_disks():
        imports = [each for each in story.transfers("target", [vdi]) if each["name"] == "import_raw_vdi"]
        if not any(since <= each["ended"] <= time for each in imports):
            yield f"the target's disk {vdi} had no complete import since the source halted"


def target_blocked_until_whole(story: Story) -> Iterator[str]:
    """Its blocks, and its start, come after the final pass; of a target that is gone its disks are not known any more."""
    for ref in story.target_refs:
        for begin, _, before, after in story.blockings("target", ref):
            if before.keys() >= TARGET_BLOCKS and not after.keys() >= TARGET_BLOCKS:
                yield from (f"the target was unblocked, but {what}" for what in final_pass_complete(story, begin))
    for time in story.target_starts():
        yield from (f"the target was started, but {what}" for what in final_pass_complete(story, time))


def target_blocked_in_the_end(story: Story) -> Iterator[str]:
    target = story.after.target.vm(story.target_vm)
    if target is None:
        return
    if story.done and target["blocked_operations"] != _own_target_blocks(story):
        yield f"the target's blocked operations in the end are {target['blocked_operations']}"
    if story.given_back:
        if not target["blocked_operations"].keys() >= TARGET_BLOCKS:
            yield "the kept copy is not blocked"
        if target["power_state"] != "Halted":
            yield f"the kept copy is {target['power_state']}"


def _own_target_blocks(story: Story) -> dict[str, str]:
    """The user's own on the source, of the operations that were blocked on the target meanwhile."""
    for ref in story.target_refs:
        ours = {
            name
            for change in story.blockings("target", ref)
            for name, text in change.after.items()
            if "xo_warmig" in text
        }
        return {name: text for name, text in story.source_before["blocked_operations"].items() if name in ours}
    return {}


def target_started_only_if_asked(story: Story) -> Iterator[str]:
    if not story.asked.started and story.calls("target", STARTS, story.target_refs, good=False):
        yield "the target was started without being asked"
    target = story.after.target.vm(story.target_vm)
    wanted = "Running" if story.asked.started else "Halted"
    if story.done and target is not None and target["power_state"] != wanted:
        yield f"the target is {target['power_state']} instead of {wanted}"


def source_destroyed_only_when_asked(story: Story) -> Iterator[str]:
    running = [stretch.begin for stretch in story.live("target")]
    booted = [each["time"] for each in story.events if each["event"]["type"] == "targetBooted"]
    for call in story.calls("source", ["VM.destroy"], story.source_refs):
        if not story.asked.delete:
            yield "the source was destroyed without being asked"
        elif not (running and booted and max(running[0], booted[0]) <= call["started"]):
            yield "the source was destroyed before its target was seen to boot"
    if story.after.source.vm(story.vm) is None and not (story.asked.delete and story.done):
        yield "the source VM is gone"
    for vdi in story.before.source.disks(story.vm):
        if story.after.source.vdi(vdi) is None and not (story.asked.delete and story.done):
            yield f"the source's disk {vdi} is gone"


def source_deleted_as_asked(story: Story) -> Iterator[str]:
    if not (story.asked.delete and story.done) or story.warned("SOURCE_KEPT"):
        return
    if story.after.source.vm(story.vm) is not None:
        yield "the source was to be deleted and is still there"
    for vdi in story.before.source.disks(story.vm):
        if story.after.source.vdi(vdi) is not None:
            yield f"the deleted source's disk {vdi} is still there"


def source_given_back(story: Story) -> Iterator[str]:
    if not story.given_back:
        return
    after = story.source_after
    if after is None:
        return  # told by R2
    for field in _AS_FOUND:
        if after.get(field) != story.source_before.get(field):
            yield f"the source's {field} was {story.source_before.get(field)} and is {after.get(field)}"


def source_started_only_with_the_target_off(story: Story) -> Iterator[str]:
    for call in story.calls("source", STARTS, story.source_refs, good=False):
        if story.is_live("target", call["started"]):
            yield "the source was started while the target was live"
        made = {ref for ref in story.target_refs if _stood(story, ref, call["started"])}
        for ref in made:
            if not story.blocked("target", ref, call["started"]).keys() >= TARGET_BLOCKS:
                yield "the source was started while the target was not blocked"


def _stood(story: Story, ref: str, time: float) -> bool:
    """Whether the target had been given its blocks by then, and was not destroyed."""
    blocked = any(change.end <= time for change in story.blockings("target", ref))
    return blocked and not any(call["ended"] <= time for call in story.calls("target", ["VM.destroy"], {ref}))


def no_power_cut(story: Story) -> Iterator[str]:
    if not story.asked.may_cut_power and story.calls("source", ["VM.hard_shutdown"], story.source_refs, good=False):
        yield "the source's power was cut"
    stops = story.calls("target", STOPS, story.target_refs, good=False)
    asked = [each["time"] for each in story.events if each["event"]["type"] == "rollbackAsked"]
    if stops and not (story.asked.discards and asked and min(asked) <= stops[0]["started"]):
        yield "the target was stopped"


def ha_off_until_started(story: Story) -> Iterator[str]:
    for call in story.calls("target", ["VM.create"]):
        record = call["args"][0]
        config = record.get("other_config", {})
        if config.get("xo_warmig:migration") != story.report["id"]:
            continue
        if record.get("ha_restart_priority") or _AUTO_POWERON in config:
            yield "the target was made with HA or auto-power-on"
    begun = min(story.target_starts(), default=float("inf"))
    for call in story.calls(
        "target", ["VM.set_ha_restart_priority", "VM.set_other_config", "VM.add_to_other_config"], story.target_refs
    ):
        switches = (
            bool(call["args"][1]) if call["method"].endswith("priority") else _AUTO_POWERON in str(call["args"][1])
        )
        if switches and call["started"] < begun:
            yield f"{call['method']} before the target was started"


def ha_as_on_the_source(story: Story) -> Iterator[str]:
    target = story.after.target.vms.get(story.target_vm or "")
    if target is None:
        return
    source = story.source_before
    live = story.done and story.asked.started
    wanted = (source["ha_restart_priority"], source["other_config"].get(_AUTO_POWERON)) if live else ("", None)
    found = (target["ha_restart_priority"], target["other_config"].get(_AUTO_POWERON))
    if found != wanted:
        yield f"HA and auto-power-on of the target are {found} instead of {wanted}"
