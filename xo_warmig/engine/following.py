"""The target follows what users do to the source's devices while it is copied: before the shutdown, and once more in the downtime."""

from xo_warmig.engine.work import Work
from xo_warmig.errors import SafetyError, WarmigError
from xo_warmig.model.events import SourceChanged, Warned
from xo_warmig.model.plans import SourceChange
from xo_warmig.model.reports import Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.source_changes import Steps, change_of, differs, steps_of, told
from xo_warmig.replication.tasks import unbroken

_UNCLEAR = "INTERFACES_UNCLEAR"


async def follow_devices(work: Work, now: Vm) -> None:
    """Put on the target what differs from the plan, and tell. Nothing is asked of the pool where nothing does.

    The fact comes after its effect, which finds what an earlier try made. Raises SafetyError: a network is not clear (R12).
    """
    plan = work.state.plan
    if not differs(plan, now):
        return
    change, errors = await _change(work, now)
    if errors:
        raise _unclear(work, errors)
    await unbroken(_arrange(work, steps_of(plan, change)))
    changes = list(told(plan, change))
    warning = Warning_(
        code="SOURCE_CHANGED",
        message="the source was changed while it was copied: " + "; ".join(changes),
        evidence={"vm": work.vm, "changes": changes, "networks": change.networks},
        remedy="look whether the target's network settings are as wanted",
    )
    await work.journal.record(SourceChanged(change=change), Warned(warning=warning))


async def foretell_refusal(work: Work, now: Vm) -> None:
    """While it is copied: what would refuse the cutover is told when it is first seen, as that may be days before."""
    if not differs(work.state.plan, now) or any(each.code == _UNCLEAR for each in work.state.warnings):
        return
    _, errors = await work.patiently(lambda: _change(work, now))
    if errors:
        refusal = _unclear(work, errors)
        await work.journal.warn(
            _UNCLEAR,
            f"as it is, the cutover will be refused: {refusal.message}",
            remedy="put it back before the cutover, or start the migration again with its network in mapVifsNetworks",
            vm=work.vm,
            reasons=refusal.evidence["reasons"],
        )


async def _change(work: Work, now: Vm) -> tuple[SourceChange, list[WarmigError]]:
    networks = await work.target.networks() if now.vifs else []
    return change_of(work.state.plan, now, networks, work.state.request)


async def _arrange(work: Work, steps: Steps) -> None:
    """On a target that is halted."""
    for device in steps.vifs_gone:
        await work.target.remove_vif(work.target_vm, device)
    for device in steps.drives_gone:
        await work.target.remove_cd_drive(work.target_vm, device)
    for vif, network in steps.vifs:
        await work.target.create_vif(work.target_vm, vif, network=network)
    for drive in steps.drives:
        await work.target.create_cd_drive(work.target_vm, drive)


def _unclear(work: Work, errors: list[WarmigError]) -> SafetyError:
    return SafetyError(
        f"an interface of the source VM was changed while it was copied, and its network on the target is not clear: {errors[0].message}",
        code="INTERFACES_CHANGED",
        evidence={"rule": "R12", "vm": work.vm, "reasons": [error.message for error in errors], **errors[0].evidence},
        remedy="name its network in mapVifsNetworks and start the migration again, which goes on with what was copied; or put it back",
    )
