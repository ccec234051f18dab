"""``plan``: what a migration would do, and what stands in its way. Changes nothing."""

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.request import as_request, request_parameters
from xo_warmig.cli.tables import plain_table
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.cli.ways import ways_planned
from xo_warmig.client import Client
from xo_warmig.model.estimates import Basis, Estimate, ExpectedPart, Figure
from xo_warmig.model.findings import Finding, LimitOf, PlannedDisk, PlannedLimit, PlannedVif, PlanReport, Severity
from xo_warmig.model.rates import describe
from xo_warmig.model.units import format_bytes, format_seconds

_WAYS = {"vhd": "full", "vhdDelta": "delta", "nbd": "full, NBD", "cbt": "delta, NBD"}
_LIMITS = {
    LimitOf.MIGRATION: "this migration",
    LimitOf.SOURCE: "all copies from or to pool",
    LimitOf.TARGET: "all copies from or to pool",
}
_BLOCKS = {"vhd": "2 MiB", "vhdDelta": "2 MiB"}  # else 64 KiB
_MARKS = {Severity.ERROR: ("✗", "red"), Severity.WARNING: ("!", "yellow"), Severity.INFO: ("·", "dim")}


@click.command()
@request_parameters
@options.client_options
@options.json_option
@click.pass_context
def plan(ctx: click.Context, /, server: Access, as_json: bool, **asked: Any) -> None:
    """Tell what `migrate` would do; change nothing.

    Takes the same arguments, and tells what stands in the way. The exit code is 1 when the migration is not possible.
    """
    parameters = as_request(**asked)

    async def run(client: Client) -> PlanReport:
        return await client.call_as(PlanReport, "warmMigration.plan", **parameters)

    report = options.signed_in(server, run)
    print_json(report) if as_json else output().print(planned(report))
    if not report.possible:
        ctx.exit(1)


def planned(report: PlanReport) -> RenderableType:
    """Where to, each disk and its way, each interface and its network, then what was found, the worst first."""
    shown: list[RenderableType] = [_heading(report)]
    if report.disks:
        disks = sorted(report.disks, key=lambda disk: (len(disk.device), disk.device))
        shown += ["", _disks(disks)]
        shown += [Text(f"disk {disk.device}: {disk.reason}", style="dim") for disk in disks if disk.reason]
        shown += [Text(told, style="dim") for told in ways_planned(disks)]
    if report.vifs:
        shown += ["", _vifs(report.vifs)]
    if report.limits:
        shown += ["", *map(_limit, report.limits)]
    if report.estimate is not None:
        shown += ["", *_estimate(report.estimate, report.disks)]
    order = list(Severity)
    shown.append("")
    findings = Table.grid(padding=(0, 1))
    for one in sorted(report.findings, key=lambda one: order.index(one.severity)):
        findings.add_row(*_finding(one))
    shown.append(findings)
    shown.append(_verdict(report))
    return Group(*shown)


def _heading(report: PlanReport) -> Table:
    rows = Table.grid(padding=(0, 2))
    for name, words, uuid in (
        ("VM", report.vm_name, report.vm),
        ("From", report.source_pool_name, report.source_pool),
        ("To", report.target_pool_name, report.target_pool),
    ):
        rows.add_row(Text(name, style="dim"), Text(words, style="bold"), Text(uuid, style="dim"))
    return rows


def _disks(disks: Sequence[PlannedDisk]) -> Table:
    table = plain_table("Disk", "Name")
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("To SR")
    table.add_column("First pass", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for disk in disks:
        way = Text(_WAYS.get(disk.way, disk.way))
        if disk.reused:
            way.append(", reused", style="green")
        first = "?" if disk.first_pass_bytes is None else format_bytes(disk.first_pass_bytes)
        size = format_bytes(disk.virtual_size_bytes)
        target = escape(disk.target_sr_name or disk.target_sr)
        table.add_row(escape(disk.device), escape(disk.name_label or disk.disk), size, target, first, way)
    return table


def _vifs(vifs: Sequence[PlannedVif]) -> Table:
    table = plain_table("Interface", "MAC", "To network")
    table.add_column("", style="dim")
    for vif in sorted(vifs, key=lambda vif: (len(vif.device), vif.device)):
        network = Text("none", style="red") if vif.network is None else Text(vif.network_name or vif.network)
        changes = "" if vif.target_mac.lower() == vif.mac.lower() else f" → {vif.target_mac or 'new'}"
        table.add_row(escape(vif.device), f"{vif.mac}{changes}", network, escape(vif.reason))
    return table


def _limit(one: PlannedLimit) -> Text:
    text = Text.assemble((describe(one.bytes_per_second), "bold"), f" for {_LIMITS[one.of]} {one.name}".rstrip())
    if one.table.hours:
        text.append(f" at this hour ({one.table})")
    text.append(", in the downtime too" if one.final_pass else ", but not in the downtime", style="dim")
    return text


def _estimate(expected: Estimate, disks: Sequence[PlannedDisk]) -> list[Text]:
    """How fast, how long, and what that is made of; each with where the figure comes from."""
    speed, written = expected.bytes_per_second, expected.written_bytes_per_second
    lines = [_line("Speed", f"{format_bytes(speed.value)}/s", speed.source)]
    if expected.downtime_parts:
        lines.append(_line("Writes", f"{format_bytes(written.value)}/s", written.source, _of_writes(written, disks)))
    if expected.duration_seconds is not None:
        duration = expected.duration_seconds
        passes = f"{expected.passes} pass{'' if expected.passes == 1 else 'es'}: "
        lines.append(
            _line("Duration", format_seconds(duration.value), duration.source, passes + _parts(expected.duration_parts))
        )
    downtime = expected.downtime_seconds
    parts = _parts(expected.downtime_parts) or "none: it is halted"
    lines.append(_line("Downtime", format_seconds(downtime.value), downtime.source, parts))
    return lines


def _parts(parts: Sequence[ExpectedPart]) -> str:
    """Where they are all from one source, the line has it."""
    differ = len({part.source for part in parts}) > 1
    return ", ".join(f"{part.name} {part.seconds:.1f}" + (f" {part.source}" if differ else "") for part in parts)


def _of_writes(written: Figure, disks: Sequence[PlannedDisk]) -> str:
    """What a host saw a guest write is not what a delta has."""
    if written.source is not Basis.SAMPLED:
        return ""
    block = next((_BLOCKS[disk.way] for disk in disks if disk.way in _BLOCKS), "64 KiB")
    return f"seen by its host; deltas have each block of {block} that was written once, and whole"


def _line(name: str, figure: str, source: str, more: str = "") -> Text:
    told = f"{source}; {more}" if more else source
    return Text.assemble((f"{name:<10}", "dim"), (f"about {figure}", "bold"), (f"  ({told})", "dim"))


def _finding(one: Finding) -> tuple[Text, Text]:
    mark, style = _MARKS[one.severity]
    text = Text.assemble((one.code, style), f": {one.message}")
    if one.needs_force:
        text.append(" (needs --force)", style="bold")
    if one.remedy:
        text.append(f"\n→ {one.remedy}")
    return Text(mark, style=style), text


def _verdict(report: PlanReport) -> Text:
    if not report.possible:
        count = sum(one.severity is Severity.ERROR for one in report.findings)
        return Text(f"Not possible: {count} error{'' if count == 1 else 's'}", style="bold red")
    text = Text("Possible", style="bold green")
    if report.first_pass_bytes is not None:
        text.append(f": the first pass copies about {format_bytes(report.first_pass_bytes)}", style="not bold default")
    return text
