"""``sweep``: objects that migrations left on the pools."""

from collections.abc import Sequence

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.tables import UUID_WIDTH, plain_table
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.client import Client
from xo_warmig.model.findings import SweepReport, SweptObject
from xo_warmig.model.units import format_bytes


@click.command()
@click.option("--remove", is_flag=True, help="Remove them. Nothing is asked.")
@options.client_options
@options.json_option
@click.pass_context
def sweep(ctx: click.Context, /, server: Access, as_json: bool, remove: bool) -> None:
    """List what migrations left behind, or remove it.

    These are objects on any pool that a migration made, and that no running migration and no kept copy owns. With --remove the exit
    code is 1 when one of them could not be removed.
    """

    async def run(client: Client) -> SweepReport:
        return await client.call_as(SweepReport, "warmMigration.sweep", remove=remove)

    report = options.signed_in(server, run)
    print_json(report) if as_json else output().print(swept(report, remove=remove))
    if remove and not all(one.removed for one in report.objects):
        ctx.exit(1)


def swept(report: SweepReport, *, remove: bool) -> RenderableType:
    """A row per object, then what it comes to."""
    shown: list[RenderableType] = [_table(report.objects, remove=remove), ""] if report.objects else []
    shown.append(_summary(report.objects, remove=remove))
    if report.not_asked:
        names = ", ".join(report.not_asked)
        shown.append(Text(f"! Not connected, so not looked at: {names}", style="yellow"))
    return Group(*shown)


def _table(objects: Sequence[SweptObject], *, remove: bool) -> Table:
    table = plain_table()
    table.add_column("Name and uuid", width=UUID_WIDTH)
    table.add_column("What")
    table.add_column("Size", justify="right", no_wrap=True)
    for one in objects:
        found = one.object
        name = Text(found.name_label or "-", style="bold")
        name.append(f"\n{found.uuid}", style="not bold")
        what = Text(f"{found.kind} on {found.pool_name}\n")
        what.append(_fate(one) if remove else Text(f"made as {found.role}", style="dim"))
        table.add_row(name, what, "-" if found.size_bytes is None else format_bytes(found.size_bytes))
    return table


def _fate(one: SweptObject) -> Text:
    return Text("removed", style="green") if one.removed else Text(f"stays: {one.why}" if one.why else "stays", "red")


def _summary(objects: Sequence[SweptObject], *, remove: bool) -> Text:
    if not objects:
        return Text("Nothing was left behind.", style="green")
    count = f"{len(objects)} object{'s' if len(objects) > 1 else ''}"
    if remove:
        removed = sum(one.removed for one in objects)
        return Text(f"Removed {removed} of {count}.", style="green" if removed == len(objects) else "red")
    size = sum(one.object.size_bytes or 0 for one in objects)
    return Text(f"{count}, {format_bytes(size)}. `xo-warmig sweep --remove` removes what is listed.")
