"""Following a migration from outside: its report now, then each newer one that the server tells, to its end."""

from collections.abc import AsyncIterator, Callable

from xo_warmig.cli.waiting import kept
from xo_warmig.client import Client, Notification, Notifications
from xo_warmig.errors import WarmigError
from xo_warmig.model.phases import Phase, is_end
from xo_warmig.model.reports import MigrationReport

NOTIFICATION = "warmMigration"


class MigrationFailed(WarmigError):
    """The migration ended without success. The members are those of its own error."""

    def __init__(self, report: MigrationReport) -> None:
        error = report.error or {}
        evidence = error.get("evidence")
        remedies = [str(error.get("remedy") or f"`xo-warmig show {report.id}` tells what happened.")]
        if left := kept(report):
            remedies.append(f"{left[0].upper()}{left[1:]}.")
        super().__init__(
            str(error.get("message") or f"the migration was {report.phase}"),
            code=str(error.get("code") or report.phase.upper()),
            evidence=evidence if isinstance(evidence, dict) else {},
            remedy=" ".join(remedies),
        )


async def reports_of(client: Client, migration: str) -> AsyncIterator[MigrationReport]:
    """The report of one migration now, and after every change until its end.

    Raises:
        CallFailed: no such migration. ConnectionLost: the server went; the migration may go on.
    """
    notifications = client.notifications()
    report = await client.call_as(MigrationReport, "warmMigration.get", id=migration)
    yield report
    while not is_end(report.phase):
        report = await _next(notifications, migration)
        yield report


async def follow(client: Client, migration: str, show: Callable[[MigrationReport], None]) -> MigrationReport:
    """Show each report to the end; the last one.

    Raises:
        MigrationFailed: it did not succeed.
    """
    async for report in reports_of(client, migration):
        show(report)
    if report.phase is not Phase.DONE:
        raise MigrationFailed(report)
    return report


async def _next(notifications: Notifications, migration: str) -> MigrationReport:
    async for notification in notifications:
        if notification.method == NOTIFICATION and (report := reported(notification)).id == migration:
            return report
    raise WarmigError("the client was closed while it followed a migration")


def reported(notification: Notification) -> MigrationReport:
    """The report in a ``warmMigration`` notification."""
    return notification.read("report", MigrationReport)
