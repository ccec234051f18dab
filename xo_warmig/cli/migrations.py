"""``list``, ``show`` and ``watch``: looking at migrations."""

import click

from xo_warmig.cli import following, options
from xo_warmig.cli.access import Access
from xo_warmig.cli.tables import migration_details, migrations_table
from xo_warmig.cli.terminal import errors, output, print_json
from xo_warmig.cli.viewing import Viewing, loss
from xo_warmig.cli.waiting import waits
from xo_warmig.client import Client
from xo_warmig.model.reports import MigrationReport


@click.command("list")
@options.client_options
@options.json_option
def list_migrations(server: Access, as_json: bool) -> None:
    """List all migrations that the server knows."""

    async def run(client: Client) -> None:
        if as_json:
            print_json(await client.call("warmMigration.list"))
            return
        found = await client.call_as(list[MigrationReport], "warmMigration.list")
        reports = sorted(found, key=lambda report: report.created)
        console = output()
        console.print(migrations_table(reports, width=console.width) if reports else "No migrations yet.")

    options.signed_in(server, run)


@click.command()
@click.argument("migration", metavar="ID")
@options.client_options
@options.json_option
def show(server: Access, as_json: bool, migration: str) -> None:
    """Show one migration: its passes, its downtime, its warnings."""

    async def run(client: Client) -> None:
        if as_json:
            print_json(await client.call("warmMigration.get", id=migration))
            return
        report = await client.call_as(MigrationReport, "warmMigration.get", id=migration)
        console = output()
        console.print(migration_details(report, width=console.width))

    options.signed_in(server, run)


@click.command()
@click.argument("migration", metavar="[ID]", required=False)
@options.patience_option
@options.client_options
@options.json_option
def watch(server: Access, as_json: bool, patience: float, migration: str | None) -> None:
    """Follow one migration to its end, or all of them.

    With no ID until interrupted. With --json every change is a line.
    """
    if migration is None:
        options.signed_in(
            server,
            lambda client: _watch_all(client, as_json=as_json),
            patience_seconds=patience,
            lost=lambda error: errors().print(loss(error, patience), markup=False, highlight=False),
        )
        return

    async def given(client: Client) -> str:
        return migration

    Viewing(given, as_json=as_json, every_report=True).run(server, patience_seconds=patience)


async def _watch_all(client: Client, *, as_json: bool) -> None:
    console = output()
    last: dict[str, tuple[object, ...]] = {}
    async for notification in client.notifications():
        if notification.method != following.NOTIFICATION:
            continue
        if as_json:
            print_json(notification.params)
            continue
        report = following.reported(notification)
        now = (report.phase, len(report.passes), waits(report))
        if last.get(report.id) != now:
            last[report.id] = now
            line = f"{report.id}  {report.vm_name}  {report.phase}  {report.progress:.0%}  {waits(report)}".rstrip()
            console.print(line, markup=False, highlight=False)
