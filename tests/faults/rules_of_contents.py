"""What the target holds and how it got there: R3, R4, R17, the equality of disks, and the state that a VM changes of itself."""

from collections.abc import Iterator

from tests.faults.evidence import Json, Story


def ended_as_expected(story: Story) -> Iterator[str]:
    if story.phase not in story.expected:
        yield f"it ended {story.phase} instead of {' or '.join(story.expected)}"
    if story.done and story.after.target.vm(story.target_vm) is None:
        yield f"there is no target {story.target_vm}"


def own_disks_read_only_while_halted(story: Story) -> Iterator[str]:
    """A VM's own disk, and not a snapshot of it, is read from its first to its last byte while the VM is halted."""
    for each in story.transfers("source", story.before.source.disks(story.vm), good=False):
        for stretch in story.live("source"):
            if max(stretch.begin, each["started"]) < min(stretch.end, each["ended"]):
                yield f"the source's own disk {each['vdi']} was read while the source was live"


def only_complete_passes_lead_on(story: Story) -> Iterator[str]:
    last: Json | None = None
    for event in (each["event"] for each in story.events):
        match event["type"]:
            case "passFinished":
                last = event["report"]
            case "shutdownAsked" if last is None or last["verdict"] != "complete":
                yield "the shutdown was asked for without a complete pass before it"
            case "targetStarted" if last is None or (last["kind"], last["verdict"]) != ("final", "complete"):
                yield "the target was started without a complete final pass"
    if story.done and (last is None or (last["kind"], last["verdict"]) != ("final", "complete")):
        yield "it is done without a complete final pass"


def disks_equal(story: Story) -> Iterator[str]:
    """Byte for byte, by hash over the whole virtual disk."""
    if not story.done:
        return
    look = story.source_at_last
    if look is None:
        yield "what the deleted source held was not seen, so that nothing can be said of the target"
        return
    disks = story.before.source.disks(story.vm)
    copies = story.after.target.disks(story.target_vm)
    if len(disks) != len(copies):
        yield f"the target has {len(copies)} disks instead of {len(disks)}"
    for disk, copy in zip(disks, copies, strict=False):
        held, holds = (look.vdi(disk) or {}).get("hash"), (story.after.target.vdi(copy) or {}).get("hash")
        if held is None or held != holds:
            yield f"the disk {disk} holds {held}, its copy {copy} holds {holds}"


def target_not_written_after_its_start(story: Story) -> Iterator[str]:
    starts = story.target_starts()
    for each in story.transfers("target", story.after.target.disks(story.target_vm), good=False):
        if starts and each["ended"] > min(starts):
            yield f"a transfer of {each['vdi']} was open when the target was started"


def own_state_carried(story: Story) -> Iterator[str]:
    """NVRAM, time offset and vTPM of the halted source, by their hash: as the target was first started with them, or has them."""
    if not story.done:
        return
    held = [each["own_state"] for each in story.power("source") if each["power_state"] == "Halted"]
    held = held[-1:] or [(story.before.source.vm(story.vm) or {}).get("own_state")]
    took = [each["own_state"] for each in story.power("target") if each["power_state"] != "Halted"]
    took = took[:1] or [(story.after.target.vm(story.target_vm) or {}).get("own_state")]
    if held != took or None in held:
        yield f"the state of the source itself (NVRAM, time offset, vTPM) was {held[0]}, the target took {took[0]}"
