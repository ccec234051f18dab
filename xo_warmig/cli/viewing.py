"""Showing one migration to its end, over as many connections as that takes."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from xo_warmig.cli import following, options
from xo_warmig.cli.access import Access
from xo_warmig.cli.progress import MigrationProgress
from xo_warmig.cli.tables import downtime_line
from xo_warmig.cli.terminal import errors, output, print_json
from xo_warmig.client import Client, ConnectionLost
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.units import format_seconds


class Viewing:
    """``identify`` gives the migration's id, and is asked until it did so once: what follows is about that migration and no other.

    With ``as_json`` the last report is printed, with ``every_report`` each one.
    """

    def __init__(
        self, identify: Callable[[Client], Awaitable[str]], *, as_json: bool, every_report: bool = False
    ) -> None:
        self.migration: str | None = None
        self._identify = identify
        self._as_json = as_json
        self._every_report = every_report

    def run(self, server: Access, *, patience_seconds: float) -> None:
        """Return when it is done.

        Raises:
            MigrationFailed: it ended otherwise. ConnectionLost: the server was away for too long; it may go on all the same.
        """
        with ExitStack() as stack:
            progress = None if self._as_json else stack.enter_context(MigrationProgress(output()))

            def show(report: MigrationReport) -> None:
                if progress is not None:
                    progress.show(report)
                elif self._every_report:
                    print_json(report)

            def lost(error: ConnectionLost) -> None:
                text = loss(error, patience_seconds)
                progress.say(text) if progress is not None else errors().print(text, markup=False, highlight=False)

            async def follow(client: Client) -> MigrationReport:
                if self.migration is None:
                    self.migration = await self._identify(client)
                return await following.follow(client, self.migration, show)

            report = options.signed_in(server, follow, patience_seconds=patience_seconds, lost=lost)
        if not self._as_json:
            print_end(report)
        elif not self._every_report:
            print_json(report)


def loss(error: ConnectionLost, patience_seconds: float) -> str:
    """What is told when the connection is lost and tried again."""
    return f"{error}; trying again for {format_seconds(patience_seconds)}"


def print_end(report: MigrationReport) -> None:
    """What a successful migration came to."""
    console = output()
    if report.downtime is not None:
        console.print(downtime_line(report.downtime))
    console.print(f"[green]Done[/]: the target VM is [bold]{report.target_vm}[/]", highlight=False)
