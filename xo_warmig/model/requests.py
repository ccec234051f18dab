"""What a client asks for: one warm migration and its options, under the names that XO's API and ours give them."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from xo_warmig.model.rates import LEAST_RATE

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
MacAddress = Annotated[str, msgspec.Meta(pattern="^(new|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5})$")]


class ForceShutdown(StrEnum):
    """When the source may be powered off without its consent."""

    IF_NO_TOOLS = "ifNoTools"
    NEVER = "never"
    ALWAYS = "always"


class OnFailure(StrEnum):
    """What becomes of the copied data when the migration fails or is cancelled."""

    KEEP = "keep"
    DROP = "drop"


class Transport(StrEnum):
    """How source disks may be read: the best way that each pool offers, VHD exports only, or NBD only.

    With ``nbd`` a request is refused where the pool does not serve a disk; later, a pass waits for NBD and fails without it. Nothing but
    the table of what a disk stores comes from exports. A delta whose log is not believed is a copy of the whole disk, while the VM runs
    and told; in the downtime it is none: the source runs again, and the migration fails.
    """

    AUTO = "auto"
    VHD = "vhd"
    NBD = "nbd"


class Verify(StrEnum):
    """What is read back from the target and compared by hash: nothing; a sample of each pass but the final one; all of every pass."""

    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


class ShutdownPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the source is stopped. ``timeout`` is in seconds."""

    timeout: Annotated[int, msgspec.Meta(ge=1)] = 1200
    force: ForceShutdown = ForceShutdown.IF_NO_TOOLS


class WarmMigrationRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Parameters of ``vm.warmMigration`` and ``warmMigration.start``.

    The first four are Xen Orchestra's own and required; the rest are ours and optional.
    """

    vm: NonEmpty
    sr: NonEmpty
    start_destination_vm: bool
    delete_source_vm: bool
    target_downtime: Annotated[float, msgspec.Meta(gt=0)] = 30.0  # seconds
    max_passes: Annotated[int, msgspec.Meta(ge=2)] = 10  # of all kinds, the final one included
    min_pass_interval: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # seconds
    map_vdis_srs: dict[str, NonEmpty] = {}
    map_vifs_networks: dict[str, NonEmpty] = {}
    # the source's; for all interfaces new ones, which the target's pool makes; or by VIF an address or "new", the others keep theirs
    mac_addresses: Literal["keep", "new"] | dict[str, MacAddress] = "keep"
    shutdown: ShutdownPolicy = ShutdownPolicy()
    cutover: NonEmpty = (
        "auto"  # "auto", "hold" (until warmMigration.cutover), or a time as ISO 8601 with its offset from UTC
    )
    commit: Literal["auto", "manual"] | Annotated[int, msgspec.Meta(ge=0)] = "auto"  # a number: seconds after the boot
    on_failure: OnFailure = OnFailure.KEEP
    transport: Transport = Transport.AUTO
    verify: Verify = Verify.SAMPLE
    max_rate: Annotated[int, msgspec.Meta(ge=LEAST_RATE)] | None = None  # bytes per second, of all disks together
    throttle_final_pass: bool = False  # limits, this one and the pools', hold in the downtime too
    force: bool = (
        False  # go on in spite of warnings that cost data or downtime, which `warmMigration.plan` marks with needsForce
    )
