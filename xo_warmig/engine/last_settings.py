"""What a target is given at the very end: caching of its disks, once nothing fills them, and addresses that need tools that run."""

from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError

_NOT_SET = "ADDRESSES_NOT_SET"
_NOT_YET = "VM_LACKS_FEATURE"  # the tools say what they can a moment after they say that they are there


async def give_last_settings(work: Work) -> None:
    """Nothing of it holds the migration open: what cannot be set is told."""
    await _allow_caching(work)
    if work.state.request.start_destination_vm:
        await set_addresses(work)


async def _allow_caching(work: Work) -> None:
    vm = work.state.plan.vm
    if not any(disk.allow_caching for disk in vm.disks):
        return
    try:
        await work.once_back(lambda: work.tried(lambda: work.target.allow_caching(work.target_vm, vm)))
    except (NoSuchObject, PoolError) as refusal:
        await work.journal.warn(
            "CACHING_LEFT_OFF",
            f"caching of the target's disks could not be allowed: {refusal}",
            remedy="set allow_caching of its disks by hand, if they are to be cached on their host",
        )


async def set_addresses(work: Work) -> None:
    """Those that the source's pool sets; told once where they cannot be. May be done twice."""
    vm = work.state.plan.vm
    addressed = [vif.device for vif in vm.vifs if vif.is_addressed]
    if not addressed:
        return

    async def set_or_not_yet() -> bool:
        try:
            await work.once_back(lambda: work.tried(lambda: work.target.set_guest_addresses(work.target_vm, vm)))
        except PoolError as refusal:
            if refusal.code == _NOT_YET:
                return False
            raise
        return True

    times = work.settings
    why = "its tools do not say that they can set addresses"
    try:
        if await work.until(set_or_not_yet, seconds=times.address_seconds, poll_seconds=times.address_poll_seconds):
            return
    except (NoSuchObject, PoolError) as refusal:
        why = str(refusal)
    if any(each.code == _NOT_SET for each in work.state.warnings):
        return
    await work.journal.warn(
        _NOT_SET,
        f"the addresses that the source's pool sets for interfaces {', '.join(addressed)} could not be set on the target: {why}",
        remedy="see which addresses the guest has, and set them by hand (VIF.configure_ipv4, VIF.configure_ipv6)",
        devices=addressed,
    )
