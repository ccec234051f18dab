"""How a migration is shown when it is not moving: tables of migrations, of passes, of the parts of a downtime.

Names come from pools: they are escaped, never markup.
"""

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xo_warmig.cli.waiting import commands, kept, taken_up_again, waits
from xo_warmig.cli.ways import ways_of_passes
from xo_warmig.model.passes import HASHED_BYTES, PassReport, Verdict
from xo_warmig.model.phases import Phase, WaitingFor, is_end
from xo_warmig.model.reports import Downtime, MigrationReport
from xo_warmig.model.standing import AWAITED, standing
from xo_warmig.model.units import format_bytes, format_seconds, format_time

UUID_WIDTH = 36
NARROW = 100  # columns below which a table of passes leaves something out
WIDE = 120  # columns from which on it has room for what was read back

COLOURS = {Phase.DONE: "green", Phase.FAILED: "red", Phase.CANCELLED: "yellow", Phase.ROLLING_BACK: "red"}


def rate(bytes_per_second: float | None) -> str:
    """A throughput, or nothing where none was measured."""
    return f"{format_bytes(bytes_per_second)}/s" if bytes_per_second else "-"


def pass_rate(one: PassReport) -> str:
    """A pass's throughput, and whether that is what a limit let it have."""
    return rate(one.throughput_bytes_per_second) + (", limited" if one.throttled else "")


def compared(one: PassReport) -> str:
    """How much of what a pass wrote was read back and found to be as it was sent, and how long that took."""
    if not one.read_back_blocks:
        return "-"
    return f"{format_bytes(one.read_back_blocks * HASHED_BYTES)} in {format_seconds(one.read_back_seconds)}"


def seconds(value: float | None) -> str:
    """A time, or nothing where there is none."""
    return "-" if value is None else format_seconds(value)


def phase_text(phase: Phase) -> Text:
    """A phase in its colour."""
    return Text(str(phase).replace("_", " "), style=COLOURS.get(phase, "cyan"))


def plain_table(*titles: str) -> Table:
    """A table without margins: what has uuids needs all of 80 columns."""
    return Table(*titles, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)


def migrations_table(reports: Sequence[MigrationReport], *, width: int = NARROW) -> Table:
    """A migration a row, oldest first; its id whole at any width, as other commands ask for it."""
    table = plain_table()
    table.add_column("Migration", width=max(UUID_WIDTH, min(width - 46, 60)))
    table.add_column("Phase")
    for title in ("Downtime", "Started"):
        table.add_column(title, justify="right", no_wrap=True)
    for report in reports:
        name = Text(report.vm_name, style="bold")
        name.append(f"  {report.source_pool_name} → {report.target_pool_name}", style="not bold dim")
        name.append(f"\n{report.id}", style="not bold")
        table.add_row(
            name,
            _phase_and_progress(report),
            seconds(report.downtime.seconds if report.downtime else None),
            format_time(report.created).replace(" ", "\n"),
        )
    return table


def _phase_and_progress(report: MigrationReport) -> Text:
    text = phase_text(report.phase)
    now = standing(report)
    if is_end(report.phase):
        return text
    text.append(f"\n{report.progress:.0%}", style="default")
    if now.paused:
        text.append(", paused", style="yellow")
    elif now.waiting_for is not WaitingFor.NOTHING and not now.steps:
        text.append(f", waits for {AWAITED[now.waiting_for]}", style="yellow")
    return text


def passes_table(passes: Sequence[PassReport], *, width: int = NARROW) -> Table:
    """A pass a row. Below ``NARROW`` columns what can be worked out from the rest is left out."""
    columns: list[tuple[str, Callable[[PassReport], str]]] = [
        ("Read", lambda one: format_bytes(one.bytes)),
        ("Written", lambda one: format_bytes(one.written_bytes)),
        ("Time", lambda one: seconds(one.seconds)),
        ("of it fixed", lambda one: seconds(one.fixed_seconds)),
        ("Rate", pass_rate),
        ("Guest wrote", lambda one: rate(one.dirty_bytes_per_second)),
        ("Predicted downtime", lambda one: seconds(one.predicted_downtime_seconds)),
    ]
    if width >= WIDE and any(one.read_back_blocks for one in passes):
        columns.insert(5, ("Compared", compared))
    if width < NARROW:
        columns = [(title, value) for title, value in columns if title not in ("of it fixed", "Rate")]
    table = Table("Pass", "Kind", box=box.SIMPLE_HEAD, pad_edge=width >= NARROW)
    for title, _ in columns:
        table.add_column(title, justify="right")
    for one in passes:
        kind = str(one.kind) if one.verdict is Verdict.COMPLETE else f"{one.kind} ({one.verdict})"
        table.add_row(str(one.number), kind, *(value(one) for _, value in columns))
    return table


def downtime_line(downtime: Downtime) -> Text:
    """The downtime and its parts, in order."""
    parts = ", ".join(f"{part.name} {part.seconds:.2f}" for part in downtime.parts)
    text = Text("Downtime ")
    text.append(f"{downtime.seconds:.2f} s", style="bold green")
    text.append(f"  ({parts})" if parts else "", style="dim")
    return text


def migration_details(report: MigrationReport, *, width: int = NARROW) -> RenderableType:
    """All of one migration, for so many columns."""
    rows = Table.grid(padding=(0, 2))
    for name, value in _facts(report):
        rows.add_row(Text(name, style="dim"), value)
    shown: list[RenderableType] = [rows]
    for command, effect in commands(report):
        shown.append(Text.assemble("  ", (command, "bold"), (f"  {effect}", "dim")))
    if report.passes:
        shown.append(passes_table(report.passes, width=width))
        shown += [Text(told, style="dim") for told in ways_of_passes(report.passes)]
    if report.downtime is not None:
        shown.append(downtime_line(report.downtime))
    for warning in report.warnings:
        shown.append(Text(f"{warning.code}: {warning.message}", style="yellow"))
        if warning.remedy:
            shown.append(Text(f"  → {warning.remedy}"))
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
        ("To", escape(f"{report.target_pool_name}  {report.target_pool}")),
        ("SR", report.sr),
        ("Target VM", report.target_vm or "-"),
        ("Phase", phase_text(report.phase)),
        *_standing_facts(report),
        *_limit_facts(report),
        ("Progress", f"{report.progress:.0%}"),
        ("Took", seconds(took)),
    ]


def _limit_facts(report: MigrationReport) -> list[tuple[str, RenderableType]]:
    """The migration's own limit, if it has one."""
    asked = report.request
    if asked.max_rate is None:
        return []
    return [("Limit", rate(asked.max_rate) + ("" if asked.throttle_final_pass else ", but not in the downtime"))]


def _standing_facts(report: MigrationReport) -> list[tuple[str, RenderableType]]:
    """What it waits for, and what an interruption or an end left; only what there is."""
    found: list[tuple[str, RenderableType]] = []
    if now := waits(report):
        found.append(("Now", Text(now, style="yellow")))
    if report.predicted_downtime_seconds is not None and report.downtime is None and not is_end(report.phase):
        found.append(("Predicted", f"{seconds(report.predicted_downtime_seconds)} of downtime"))
    if times := taken_up_again(report):
        found.append(("Interrupted", times))
    if left := kept(report):
        found.append(("Kept", left))
    return found
