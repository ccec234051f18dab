"""``cutover``, ``pause``, ``resume``, ``cancel``, ``rollback`` and ``commit``: what somebody may say to a migration.

Each returns when the server says that it is so, or recorded; from then on it happens whatever becomes of the command or the server.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.cli.waiting import kept
from xo_warmig.client import Client
from xo_warmig.model.reports import MigrationReport

Command = TypeVar("Command", bound=Callable[..., Any])


def _of_a_migration(command: Command) -> Command:
    return click.argument("migration", metavar="ID")(options.client_options(options.json_option(command)))


@click.command()
@_of_a_migration
def cutover(server: Access, as_json: bool, migration: str) -> None:
    """Cut over as soon as it pays, waiting for nothing else."""
    _say(
        server,
        migration,
        "cutover",
        "cutover",
        lambda report: f"Cutting over {report.id}: `xo-warmig watch {report.id}` follows it",
        as_json=as_json,
    )


@click.command()
@_of_a_migration
def pause(server: Access, as_json: bool, migration: str) -> None:
    """Pause a migration; what it copied stays its base. Returns when its disks are free."""
    _say(
        server,
        migration,
        "pause",
        "paused",
        lambda report: f"Paused {report.id} at {report.progress:.0%}: `xo-warmig resume {report.id}` goes on",
        as_json=as_json,
    )


@click.command()
@_of_a_migration
def resume(server: Access, as_json: bool, migration: str) -> None:
    """Go on with a paused migration."""
    _say(
        server,
        migration,
        "resume",
        "resumed",
        lambda report: f"Resumed {report.id}: `xo-warmig watch {report.id}` follows it",
        as_json=as_json,
    )


@click.command()
@click.option(
    "--drop/--keep", default=None, help="What becomes of the copied data.  [default: as its --on-failure said]"
)
@_of_a_migration
def cancel(server: Access, as_json: bool, migration: str, drop: bool | None) -> None:
    """Stop a migration before its target is started. The source runs on; returns when its disks are free."""
    parameters = {} if drop is None else {"drop": drop}
    _say(server, migration, "cancel", "cancelled", _went_back("Cancelled"), as_json=as_json, **parameters)


@click.command()
@click.option(
    "--discard-target-changes",
    is_flag=True,
    help="Lose what the target wrote since its start; without this a started target is left alone.",
)
@_of_a_migration
def rollback(server: Access, as_json: bool, migration: str, discard_target_changes: bool) -> None:
    """Give the source back as it was found, and stop the target. Returns when that is so."""
    parameters = {"discardTargetChanges": discard_target_changes}
    _say(server, migration, "rollback", "rolledBack", _went_back("Rolled back"), as_json=as_json, **parameters)


@click.command()
@_of_a_migration
def commit(server: Access, as_json: bool, migration: str) -> None:
    """Accept the target. The source is deleted where that was asked for; returns when all of that is so."""
    _say(
        server,
        migration,
        "commit",
        "committed",
        lambda report: f"Committed {report.id}: the target VM is {report.target_vm}",
        as_json=as_json,
    )


def _went_back(word: str) -> Callable[[MigrationReport], str]:
    def words(report: MigrationReport) -> str:
        left = kept(report)
        return f"{word} {report.id}: the source is as it was found" + (f"; {left}" if left else "")

    return words


def _say(
    server: Access,
    migration: str,
    method: str,
    done: str,
    words: Callable[[MigrationReport], str],
    *,
    as_json: bool,
    **parameters: Any,
) -> None:
    async def run(client: Client) -> None:
        await client.call(f"warmMigration.{method}", id=migration, **parameters)
        if as_json:
            print_json({done: migration})
            return
        report = await client.call_as(MigrationReport, "warmMigration.get", id=migration)
        output().print(words(report), markup=False, highlight=False, soft_wrap=True)

    options.signed_in(server, run)
