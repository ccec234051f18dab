"""How a migration is shown when it is not moving: tables of migrations, of passes, of the parts of a downtime.

Names come from pools: they are escaped, never markup.
"""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xo_warmig.cli.waiting import commands, kept, moment, taken_up_again, waits
from xo_warmig.model.passes import PassReport, Verdict
from xo_warmig.model.phases import Phase, is_end
from xo_warmig.model.reports import Downtime, MigrationReport
from xo_warmig.model.units import format_bytes, format_seconds

COLOURS = {Phase.DONE: "green", Phase.FAILED: "red", Phase.CANCELLED: "yellow", Phase.ROLLING_BACK: "red"}


def rate(bytes_per_second: float | None) -> str:
    """A throughput, or nothing where none was measured."""
    return f"{format_bytes(bytes_per_second)}/s" if bytes_per_second else "-"


def seconds(value: float | None) -> str:
    """A time, or nothing where there is none."""
    return "-" if value is None else format_seconds(value)


def phase_text(phase: Phase) -> Text:
    """A phase in its colour."""
    return Text(str(phase).replace("_", " "), style=COLOURS.get(phase, "cyan"))


def migrations_table(reports: Sequence[MigrationReport]) -> Table:
    """A migration a row, oldest first."""
    table = Table("Migration", "VM", "From", "To", "Phase", box=box.SIMPLE_HEAD)
    for title in ("Progress", "Downtime", "Started"):
        table.add_column(title, justify="right")
    for report in reports:
        table.add_row(
            report.id,
            escape(report.vm_name),
            escape(report.source_pool_name),
            escape(report.target_pool_name),
            phase_text(report.phase),
            f"{report.progress:.0%}",
            seconds(report.downtime.seconds if report.downtime else None),
            moment(report.created),
        )
    return table


def passes_table(passes: Sequence[PassReport]) -> Table:
    """A pass a row."""
    table = Table("Pass", "Kind", box=box.SIMPLE_HEAD)
    for title in ("Read", "Written", "Time", "of it fixed", "Rate", "Guest wrote", "Predicted downtime"):
        table.add_column(title, justify="right")
    for one in passes:
        kind = str(one.kind) if one.verdict is Verdict.COMPLETE else f"{one.kind} ({one.verdict})"
        table.add_row(
            str(one.number),
            kind,
            format_bytes(one.bytes),
            format_bytes(one.written_bytes),
            seconds(one.seconds),
            seconds(one.fixed_seconds),
            rate(one.throughput_bytes_per_second),
            rate(one.dirty_bytes_per_second),
            seconds(one.predicted_downtime_seconds),
        )
    return table


def downtime_line(downtime: Downtime) -> Text:
    """The downtime and its parts, in order."""
    parts = ", ".join(f"{part.name} {part.seconds:.2f}" for part in downtime.parts)
    text = Text("Downtime ")
    text.append(f"{downtime.seconds:.2f} s", style="bold green")
    text.append(f"  ({parts})" if parts else "", style="dim")
    return text


def migration_details(report: MigrationReport) -> RenderableType:
    """All of one migration."""
    rows = Table.grid(padding=(0, 2))
    for name, value in _facts(report):
        rows.add_row(Text(name, style="dim"), value)
    shown: list[RenderableType] = [rows]
    if report.passes:
        shown.append(passes_table(report.passes))
    if report.downtime is not None:
        shown.append(downtime_line(report.downtime))
    for warning in report.warnings:
        shown.append(Text(f"{warning.code}: {warning.message}  {warning.remedy}".rstrip(), style="yellow"))
    if report.error is not None:
        shown.append(Text(f"{report.error.get('code')}: {report.error.get('message')}", style="red"))
        if report.error.get("remedy"):
            shown.append(Text(f"  → {report.error['remedy']}"))
    return Group(*shown)


def _facts(report: MigrationReport) -> list[tuple[str, RenderableType]]:
    took = (report.finished - report.created) if report.finished else None
    return [
        ("Migration", report.id),
        ("VM", escape(f"{report.vm_name}  {report.vm}")),
        ("From", escape(f"{report.source_pool_name}  {report.source_pool}")),
        ("To", escape(f"{report.target_pool_name}  {report.target_pool}  SR {report.sr}")),
        ("Target VM", report.target_vm or "-"),
        ("Phase", phase_text(report.phase)),
        *_standing_facts(report),
        ("Progress", f"{report.progress:.0%}"),
        ("Took", seconds(took)),
    ]


def _standing_facts(report: MigrationReport) -> list[tuple[str, RenderableType]]:
    """What it waits for, what can be done, and what an interruption or an end left; only what there is."""
    found: list[tuple[str, RenderableType]] = []
    if now := waits(report):
        found.append(("Now", Text(now, style="yellow")))
    for command, effect in commands(report):
        found.append(("", Text(command, style="bold").append(f"  {effect}", style="not bold dim")))
    if report.predicted_downtime_seconds is not None and not is_end(report.phase):
        found.append(("Predicted", f"{seconds(report.predicted_downtime_seconds)} of downtime"))
    if times := taken_up_again(report):
        found.append(("Interrupted", times))
    if left := kept(report):
        found.append(("Kept", left))
    return found
