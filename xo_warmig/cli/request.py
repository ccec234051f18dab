"""The arguments and options that say what to migrate and how: those of ``plan`` and ``migrate``."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click
import msgspec

from xo_warmig.cli.sizes import size
from xo_warmig.model.rates import LEAST_RATE, describe
from xo_warmig.model.requests import ForceShutdown, MacAddress, OnFailure, Transport, Verify, WarmMigrationRequest

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULTS = WarmMigrationRequest(vm="-", sr="-", start_destination_vm=True, delete_source_vm=False)
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})")


def pair(text: str) -> tuple[str, str]:
    """The type of options that map one object to another: ``UUID=UUID``."""
    try:
        first, second = (str(UUID(part)) for part in text.split("="))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not of the form UUID=UUID") from error
    return first, second


def address(text: str) -> str | tuple[str, str]:
    """The type of the option that says which MAC addresses the target gets: ``keep``, ``new``, ``UUID=ADDRESS`` or ``UUID=new``."""
    if text in ("keep", "new"):
        return text
    vif, _, wanted = text.partition("=")
    try:
        return str(UUID(vif)), msgspec.convert(wanted, MacAddress)
    except (ValueError, msgspec.ValidationError) as error:
        raise click.BadParameter(
            f"{text!r} is neither keep nor new nor of the form UUID=ADDRESS or UUID=new"
        ) from error


def _addresses(given: tuple[str | tuple[str, str], ...]) -> str | dict[str, str]:
    """All of the option's values together; ``keep`` and ``new`` are for all interfaces, and stand alone."""
    pairs = [each for each in given if isinstance(each, tuple)]
    words = [each for each in given if isinstance(each, str)]
    if words and len(given) > 1:
        raise click.BadParameter("keep and new are for all interfaces and are given alone", param_hint="--mac")
    return words[0] if words else dict(pairs) or DEFAULTS.mac_addresses


def cutover(text: str, *, now: Callable[[], datetime] = datetime.now) -> str:
    """The type of the option that says when to cut over. A time without offset is of this machine's zone and gets its offset."""
    if text in ("auto", "hold"):
        return text
    try:
        time_of_day = _TIME_OF_DAY.fullmatch(text)
        when = _next(time_of_day, now()) if time_of_day else datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is neither auto nor hold nor a time as 23:30 or 2026-05-01T23:30"
        ) from error
    return (when if when.tzinfo is not None else when.astimezone()).isoformat(timespec="seconds")


def _next(time_of_day: re.Match[str], now: datetime) -> datetime:
    when = now.replace(hour=int(time_of_day[1]), minute=int(time_of_day[2]), second=0, microsecond=0)
    return when if when > now else when + timedelta(days=1)


def commit(text: str) -> str | int:
    """The type of the option that says when to commit."""
    if text in ("auto", "manual"):
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither auto nor manual nor a number of seconds")
    return int(text)


def rate(text: str) -> int:
    """The type of the option that says how fast a migration may go."""
    bytes_per_second = size(text.removesuffix("/s"))
    if bytes_per_second < LEAST_RATE:
        raise click.BadParameter(f"{text!r} is too slow; give at least {describe(LEAST_RATE)}")
    return bytes_per_second


_PARAMETERS = (
    click.argument("vm", type=click.UUID),
    click.argument("sr", type=click.UUID),
    click.option("--start/--no-start", default=True, show_default=True, help="Start the target when all is copied."),
    click.option("--delete-source", is_flag=True, help="Delete the source once the target was seen to boot."),
    click.option(
        "--cutover",
        type=cutover,
        default=DEFAULTS.cutover,
        show_default=True,
        metavar="auto|hold|TIME",
        help="As soon as it pays, when `xo-warmig cutover` says so, or at a time as 23:30 or 2026-05-01T23:30 (of this machine's"
        " zone where no offset is given).",
    ),
    click.option(
        "--commit",
        type=commit,
        default=DEFAULTS.commit,
        show_default=True,
        metavar="auto|manual|SECONDS",
        help="Accept the target once it booted, when `xo-warmig commit` says so, or this long after the boot.",
    ),
    click.option(
        "--target-downtime",
        type=click.FloatRange(min=0, min_open=True),
        default=DEFAULTS.target_downtime,
        show_default=True,
        metavar="SECONDS",
        help="Cut over when the predicted downtime is at most this.",
    ),
    click.option(
        "--max-passes",
        type=click.IntRange(min=2),
        default=DEFAULTS.max_passes,
        show_default=True,
        help="Of all kinds, the final one included.",
    ),
    click.option(
        "--min-pass-interval",
        type=click.FloatRange(min=0),
        default=DEFAULTS.min_pass_interval,
        show_default=True,
        metavar="SECONDS",
        help="From the start of a pass to the start of the next.",
    ),
    click.option("--map-vdi", type=pair, multiple=True, metavar="VDI=SR", help="Put one disk on another SR."),
    click.option("--map-vif", type=pair, multiple=True, metavar="VIF=NETWORK", help="Choose an interface's network."),
    click.option(
        "--mac",
        type=address,
        multiple=True,
        metavar="keep|new|VIF=ADDRESS|VIF=new",
        help="Keep the interfaces' MAC addresses, as is the default, have the target's pool make new ones, or choose one's.",
    ),
    click.option(
        "--shutdown-timeout",
        type=click.IntRange(min=1),
        default=DEFAULTS.shutdown.timeout,
        show_default=True,
        metavar="SECONDS",
        help="How long the guest may take to shut down.",
    ),
    click.option(
        "--force-shutdown",
        type=click.Choice([str(one) for one in ForceShutdown]),
        default=str(DEFAULTS.shutdown.force),
        show_default=True,
        help="When the source may be powered off.",
    ),
    click.option(
        "--on-failure",
        type=click.Choice([str(one) for one in OnFailure]),
        default=str(DEFAULTS.on_failure),
        show_default=True,
        help="What becomes of copied data when it fails or is cancelled.",
    ),
    click.option(
        "--transport",
        type=click.Choice([str(one) for one in Transport]),
        default=str(DEFAULTS.transport),
        show_default=True,
        help="How source disks may be read: the best way that the pool offers, VHD exports only, or NBD only.",
    ),
    click.option(
        "--verify",
        type=click.Choice([str(one) for one in Verify]),
        default=str(DEFAULTS.verify),
        show_default=True,
        help="Read back from the target and compare by hash: nothing, a sample of each pass but the last, or all that was written,"
        " which makes the downtime longer.",
    ),
    click.option(
        "--max-rate",
        type=rate,
        metavar="SIZE",
        help="Copy no more than this a second, as 50M, all disks together; the server may have limits of its own.",
    ),
    click.option(
        "--throttle-final-pass",
        is_flag=True,
        help="Keep to the limits in the downtime too, which makes it longer.",
    ),
    click.option(
        "--force", is_flag=True, help="Go on in spite of warnings that cost data or downtime, which `plan` marks."
    ),
)


def request_parameters(command: Command) -> Command:
    """VM, SR and all options of a migration, for ``as_request``."""
    for parameter in reversed(_PARAMETERS):
        command = parameter(command)
    return command


def as_request(**asked: Any) -> dict[str, Any]:
    """What was given, as parameters of ``warmMigration.start`` and ``plan``."""
    return {
        "vm": str(asked["vm"]),
        "sr": str(asked["sr"]),
        "startDestinationVm": asked["start"],
        "deleteSourceVm": asked["delete_source"],
        "cutover": asked["cutover"],
        "commit": asked["commit"],
        "targetDowntime": asked["target_downtime"],
        "maxPasses": asked["max_passes"],
        "minPassInterval": asked["min_pass_interval"],
        "mapVdisSrs": dict(asked["map_vdi"]),
        "mapVifsNetworks": dict(asked["map_vif"]),
        "macAddresses": _addresses(asked["mac"]),
        "shutdown": {"timeout": asked["shutdown_timeout"], "force": asked["force_shutdown"]},
        "onFailure": asked["on_failure"],
        "transport": asked["transport"],
        "verify": asked["verify"],
        "maxRate": asked["max_rate"],
        "throttleFinalPass": asked["throttle_final_pass"],
        "force": asked["force"],
    }
