"""``migrate``: start a warm migration, or join one that runs already, and follow it to its end."""

from typing import Any
from uuid import UUID

import click

from xo_warmig.cli import following, options
from xo_warmig.cli.access import Access
from xo_warmig.cli.progress import MigrationProgress
from xo_warmig.cli.tables import downtime_line
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.client import Client
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import ForceShutdown, OnFailure, WarmMigrationRequest

DEFAULTS = WarmMigrationRequest(vm="-", sr="-", start_destination_vm=True, delete_source_vm=False)


def pair(text: str) -> tuple[str, str]:
    """The type of options that map one object to another: ``UUID=UUID``."""
    try:
        first, second = (str(UUID(part)) for part in text.split("="))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not of the form UUID=UUID") from error
    return first, second


@click.command()
@click.argument("vm", type=click.UUID)
@click.argument("sr", type=click.UUID)
@click.option("--start/--no-start", default=True, show_default=True, help="Start the target when all is copied.")
@click.option("--delete-source", is_flag=True, help="Delete the source once the target was seen to boot.")
@click.option(
    "--target-downtime",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULTS.target_downtime,
    show_default=True,
    metavar="SECONDS",
    help="Cut over when the predicted downtime is at most this.",
)
@click.option(
    "--max-passes",
    type=click.IntRange(min=2),
    default=DEFAULTS.max_passes,
    show_default=True,
    help="Of all kinds, the final one included.",
)
@click.option(
    "--min-pass-interval",
    type=click.FloatRange(min=0),
    default=DEFAULTS.min_pass_interval,
    show_default=True,
    metavar="SECONDS",
    help="From the start of a pass to the start of the next.",
)
@click.option("--map-vdi", type=pair, multiple=True, metavar="VDI=SR", help="Put one disk on another SR.")
@click.option("--map-vif", type=pair, multiple=True, metavar="VIF=NETWORK", help="Choose an interface's network.")
@click.option(
    "--shutdown-timeout",
    type=click.IntRange(min=1),
    default=DEFAULTS.shutdown.timeout,
    show_default=True,
    metavar="SECONDS",
    help="How long the guest may take to shut down.",
)
@click.option(
    "--force-shutdown",
    type=click.Choice([str(one) for one in ForceShutdown]),
    default=str(DEFAULTS.shutdown.force),
    show_default=True,
    help="When the source may be powered off.",
)
@click.option(
    "--on-failure",
    type=click.Choice([str(one) for one in OnFailure]),
    default=str(DEFAULTS.on_failure),
    show_default=True,
    help="What becomes of copied data when it fails or is cancelled.",
)
@click.option("--detach", is_flag=True, help="Print the migration's id and do not follow it.")
@options.client_options
@options.json_option
def migrate(server: Access, as_json: bool, detach: bool, **asked: Any) -> None:
    """Move VM to the storage repository SR of another pool. Both are named by uuid.

    The migration goes on in the server when this command is interrupted.
    """
    parameters = request_parameters(**asked)

    async def run(client: Client) -> None:
        migration: str = await client.call("warmMigration.start", **parameters)
        if detach:
            print_json({"id": migration}) if as_json else click.echo(migration)
            return
        try:
            await show_migration(client, migration, as_json=as_json)
        except BaseException:
            # Ctrl-C stops the watching only.
            if not as_json:
                click.echo(f"Migration {migration}: see `xo-warmig show {migration}`", err=True)
            raise

    options.signed_in(server, run)


async def show_migration(client: Client, migration: str, *, as_json: bool) -> None:
    """Follow a migration with bars, or silently to one JSON report at its end.

    Raises:
        MigrationFailed: it did not succeed.
    """
    if as_json:
        print_json(await following.follow(client, migration, lambda report: None))
        return
    console = output()
    with MigrationProgress(console) as progress:
        report = await following.follow(client, migration, progress.show)
    print_end(report)


def print_end(report: MigrationReport) -> None:
    """What a successful migration came to."""
    console = output()
    if report.downtime is not None:
        console.print(downtime_line(report.downtime))
    console.print(f"[green]Done[/]: the target VM is [bold]{report.target_vm}[/]", highlight=False)


def request_parameters(**asked: Any) -> dict[str, Any]:
    """The options as parameters of ``warmMigration.start``."""
    return {
        "vm": str(asked["vm"]),
        "sr": str(asked["sr"]),
        "startDestinationVm": asked["start"],
        "deleteSourceVm": asked["delete_source"],
        "targetDowntime": asked["target_downtime"],
        "maxPasses": asked["max_passes"],
        "minPassInterval": asked["min_pass_interval"],
        "mapVdisSrs": dict(asked["map_vdi"]),
        "mapVifsNetworks": dict(asked["map_vif"]),
        "shutdown": {"timeout": asked["shutdown_timeout"], "force": asked["force_shutdown"]},
        "onFailure": asked["on_failure"],
    }
