"""A migration as it moves: a bar per disk of the pass that runs, a line for what is over, the predicted downtime below.

Lines of finished passes and phases scroll away above the bars; without a terminal only they are printed. Names come from pools: they
are escaped, never markup.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from xo_warmig.cli.tables import pass_rate, rate, seconds
from xo_warmig.cli.waiting import commands, taken_up_again, waits
from xo_warmig.cli.ways import Reading, ways_of_disks
from xo_warmig.model.passes import PassKind, PassReport, Verdict
from xo_warmig.model.phases import Phase, Stage, can_cancel, is_end
from xo_warmig.model.reports import CurrentPass, DiskProgress, MigrationReport
from xo_warmig.model.units import format_bytes, format_seconds

PHASE_TEXTS = {
    Phase.PREPARING: "Preparing the target",
    Phase.STOPPING: "Shutting the source down",
    Phase.VERIFYING: "Checking before the start",
    Phase.STARTING: "Starting the target",
    Phase.CHECKING: "Waiting for the target to boot",
    Phase.ROLLING_BACK: "Going back: the source stays",
    Phase.CANCELLING: "Cancelling",
}


class MigrationProgress:
    """Shows the reports that it is given; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[amount]:>22}", style="green"),
            TextColumn("{task.fields[rate]:>12}"),
            TextColumn("{task.fields[left]:>10}"),
            console=console,
            expand=True,
        )
        self._status = Text("")
        self._tasks: dict[str, TaskID] = {}
        self._pass = 0
        self._phase: Phase | None = None
        self._finished = 0
        self._warned = 0
        self._epoch = 1
        self._waits = ""
        self._ways: list[str] = []
        self._devices: dict[str, str] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, report: MigrationReport) -> None:
        """Bring everything up to this report."""
        self._tell_epoch(report)
        self._tell_phase(report.phase)
        for one in report.passes[self._finished :]:
            if not _is_settled(one, report):
                break
            self._tell_ways(one.disks)
            self._console.print(_pass_line(one), highlight=False)
            self._finished += 1
        for warning in report.warnings[self._warned :]:
            self._console.print(Text(f"! {warning.code}: {warning.message}", style="yellow"))
        self._warned = len(report.warnings)
        self._tell_waiting(report)
        self._show_pass(None if is_end(report.phase) else report.current_pass)
        self._status = _status(report)

    def say(self, text: str) -> None:
        """A line about something that is in no report."""
        self._console.print(Text(f"! {text}", style="yellow"), soft_wrap=True)

    def _tell_epoch(self, report: MigrationReport) -> None:
        if report.epoch > self._epoch:
            self._line(taken_up_again(report).capitalize())
        self._epoch = report.epoch

    def _tell_waiting(self, report: MigrationReport) -> None:
        """Once for each waiting. One that holds goes on with its passes in between: that is the same waiting."""
        now, before = waits(report), self._waits
        if now == before or (not now and report.phase is Phase.SYNCING and before.startswith("holding")):
            return
        self._waits = now
        if now:
            self._line(now[0].upper() + now[1:])
            for command, effect in commands(report):
                self._console.print(f"    [bold]{escape(command)}[/]  {effect}", highlight=False, soft_wrap=True)
        elif before == "paused" and can_cancel(report.phase):
            self._line("Going on")

    def _line(self, text: str) -> None:
        self._console.print(f"[cyan]•[/] {escape(text)}", highlight=False)

    def _tell_phase(self, phase: Phase) -> None:
        if phase is not self._phase and phase in PHASE_TEXTS:
            self._line(PHASE_TEXTS[phase])
        self._phase = phase

    def _tell_ways(self, disks: Sequence[Reading]) -> None:
        """How a pass is read, where that is not as of the one before it."""
        ways = ways_of_disks(disks, self._devices)
        if ways and ways != self._ways:
            for told in ways:
                self._console.print(Text(f"  {told}", style="dim"))
            self._ways = ways

    def _show_pass(self, current: CurrentPass | None) -> None:
        number = current.number if current is not None else 0
        if number != self._pass:
            for task in self._tasks.values():
                self._bars.remove_task(task)
            self._tasks, self._pass = {}, number
        disks = current.disks if current is not None else []
        self._devices |= {disk.disk: disk.device for disk in disks}
        self._tell_ways(disks)
        for disk in disks:
            self._show_disk(number, disk)

    def _show_disk(self, number: int, disk: DiskProgress) -> None:
        if disk.disk not in self._tasks:
            name = escape(disk.name_label or disk.disk)
            description = f"pass {number} · disk {escape(disk.device)} [bold]{name}[/]"
            self._tasks[disk.disk] = self._bars.add_task(description, total=1, amount="", rate="", left="")
        left = max(0, disk.total_bytes - disk.done_bytes)
        speed = disk.bytes_per_second
        self._bars.update(
            self._tasks[disk.disk],
            completed=disk.done_bytes,
            total=disk.total_bytes or 1,
            amount=f"{format_bytes(disk.done_bytes)} of {format_bytes(disk.total_bytes)}" if disk.total_bytes else "",
            rate=rate(speed),
            left=f"{format_seconds(left / speed)} left" if left and speed else "",
        )

    def _render(self) -> RenderableType:
        return Group(self._bars, self._status) if self._tasks else self._status


def _is_settled(one: PassReport, report: MigrationReport) -> bool:
    """Whether no more will be known of it: what it predicts is known a moment after its last byte."""
    predicts = one.kind is not PassKind.FINAL and one.verdict is Verdict.COMPLETE
    current = report.current_pass
    moved_on = (current is not None and current.number > one.number) or report.stage not in (Stage.COPY, Stage.SYNC)
    return not predicts or one.predicted_downtime_seconds is not None or moved_on


def _pass_line(one: PassReport) -> str:
    complete = one.verdict is Verdict.COMPLETE
    mark = "[green]✓[/]" if complete else "[red]✗[/]"
    line = f"{mark} Pass {one.number} [bold]{one.kind}[/]  {format_bytes(one.bytes)} in {seconds(one.seconds)}"
    line += f"  ({pass_rate(one)})"
    if one.dirty_bytes_per_second is not None:
        line += f"  guest wrote {format_bytes(one.dirty_bytes_per_second)}/s"
    if one.predicted_downtime_seconds is not None:
        line += f"  predicted downtime {seconds(one.predicted_downtime_seconds)}"
    return line if complete else f"{line}  [red]{one.verdict}[/]"


def _status(report: MigrationReport) -> Text:
    text = Text(f"  {report.progress:4.0%}  {report.stage}", style="dim")
    current = report.current_pass
    if current is not None and current.remaining_seconds is not None:
        text.append(f"  pass done in {format_seconds(current.remaining_seconds)}")
    if report.predicted_downtime_seconds is not None and report.downtime is None and not is_end(report.phase):
        text.append(f"  predicted downtime {format_seconds(report.predicted_downtime_seconds)}")
    if now := waits(report):
        text.append(f"  {now}", style="not dim yellow")
    for command, effect in commands(report):
        text.append(f"\n        {command}", style="not dim bold").append(f"  {effect}", style="not bold dim")
    return text
