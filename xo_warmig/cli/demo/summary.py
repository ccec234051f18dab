"""How the demonstration ends: a summary for people, or one JSON object."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xo_warmig.cli.demo.proof import Proof
from xo_warmig.cli.tables import downtime_line, passes_table
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.units import format_seconds


def as_json(report: MigrationReport, proof: Proof) -> dict[str, Any]:
    """The outcome under the names that scripts use. Times are in seconds, ``bytes`` were read from the source."""
    downtime = report.downtime
    return {
        "migration": report.id,
        "sourceVm": report.vm,
        "targetVm": report.target_vm,
        "totalSeconds": total_seconds(report),
        "downtimeSeconds": downtime.seconds if downtime else None,
        "downtimeParts": {part.name: part.seconds for part in downtime.parts} if downtime else {},
        "passes": [
            {"kind": str(one.kind), "bytes": one.bytes, "writtenBytes": one.written_bytes, "seconds": one.seconds}
            for one in report.passes
        ],
        "sourceSha256": proof.source_sha256,
        "targetSha256": proof.target_sha256,
        "equal": proof.equal,
        "fileSystem": proof.file_system,
        "sourcePowerState": proof.source_power_state,
        "targetPowerState": proof.target_power_state,
    }


def show(console: Console, report: MigrationReport, proof: Proof) -> None:
    """The passes, the downtime, and the proof."""
    console.rule("[bold]Summary", align="left", style="dim")
    console.print(passes_table(report.passes))
    if report.downtime is not None:
        console.print(downtime_line(report.downtime))
    console.print(f"Total    {format_seconds(total_seconds(report))}", highlight=False)
    console.print()
    console.print(_disks(proof))
    if proof.file_system is not None:
        console.print(_file_system(proof))
    console.print(
        f"Source VM {proof.source_power_state}, target VM {proof.target_power_state}  ({report.target_vm})",
        markup=False,
        highlight=False,
    )


def total_seconds(report: MigrationReport) -> float:
    """From the call to the end."""
    return (report.finished or report.created) - report.created


def _disks(proof: Proof) -> Table:
    table = Table("Disk", "sha256 of the source, halted", "sha256 of the target", "", box=box.SIMPLE_HEAD)
    for number, (source, target) in enumerate(zip(proof.source_sha256, proof.target_sha256, strict=False)):
        verdict = Text("equal", style="bold green") if source == target else Text("DIFFERENT", style="bold red")
        table.add_row(str(number), f"{source[:24]}…", f"{target[:24]}…", verdict)
    return table


def _file_system(proof: Proof) -> Text:
    found = proof.file_system
    assert found is not None
    if found.holds:
        return Text(
            f"ext4 on the target: e2fsck -fn finds nothing, all {found.files} files of the guest are there and whole"
        )
    return Text(
        f"ext4 on the target: e2fsck ended with {found.e2fsck}; of {found.files} files "
        f"{len(found.missing)} are missing and {len(found.different)} differ",
        style="bold red",
    )
