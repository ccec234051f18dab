"""Whether the target's pool makes a vTPM for the VM, and whether what is in it can be carried over.

After ocaml/xapi/xapi_vtpm.ml of xapi.
"""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Surroundings

# The toolstack's versions that brought vTPMs, and that make them where hosts may be fenced.
_FIRST_VTPM, _FIRST_BESIDE_HA = (22, 26), (23, 13)
_RESTRICTION = "restrict_vtpm"


def of_vtpms(vm: Vm, around: Surroundings) -> Iterator[InvalidRequest]:
    """Nothing of it shows before the full copy, and its contents not before the downtime."""
    if not vm.vtpms:
        return
    if why := _against_creation(around.target_facts):
        yield InvalidRequest(
            f"the VM has a vTPM, and the target's pool can make none ({why}): without its contents encrypted disks stay locked",
            code="VTPM_NOT_SUPPORTED",
            evidence={"instancePath": "/sr", "reason": why},
            remedy="choose an SR of a pool of release 8.3 or later, or remove the vTPM once nothing in the guest needs it",
        )
    if around.against_vtpm_contents:
        yield InvalidRequest(
            f"the VM has a vTPM, and its contents cannot be carried over ({around.against_vtpm_contents}): without them encrypted disks "
            "stay locked",
            code="VTPM_NEEDS_ROOT",
            evidence={"instancePath": "/vm", "reason": around.against_vtpm_contents},
            remedy="connect the pool's server as root, not as an account of Active Directory",
        )


def _against_creation(target: PoolFacts) -> str:
    """XAPI wants the licence's restriction to be there and to be false; where the pool tells no restrictions, nothing is judged."""
    version = target.xapi_version
    if version is not None and version < _FIRST_VTPM:
        return f"{target.product or 'its release'} has none"
    if target.restrictions and target.restrictions.get(_RESTRICTION) != "false":
        return "its licence does not allow one"
    if version is not None and version < _FIRST_BESIDE_HA and target.ha_enabled:
        return f"xapi {version[0]}.{version[1]} makes none while HA is on"
    return ""
