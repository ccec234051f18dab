"""What a migration waits for and what can be done about it, in sentences and command lines for people."""

from xo_warmig.model.phases import Phase, WaitingFor, is_end
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.standing import AWAITED, Step, standing
from xo_warmig.model.units import format_time

# After "xo-warmig", with the migration's id in between: more of the command line, and what it does.
_COMMANDS = {
    Step.CUTOVER: ("", "cuts over now"),
    Step.RESUME: ("", "goes on"),
    Step.COMMIT: ("", "keeps the target"),
    Step.ROLLBACK: (" --discard-target-changes", "goes back to the source"),
}


def waits(report: MigrationReport) -> str:
    """What it waits for, as ``holding until ...``; empty while it moves."""
    now = standing(report)
    if now.paused:
        return "paused"
    until = f" until {format_time(now.until)}" if now.until is not None else ""
    match report.phase:
        case Phase.HOLDING:
            return f"holding{until or ' until told to cut over'}"
        case Phase.AWAITING_COMMIT:
            return (
                f"the target runs; commits at {format_time(now.until)}"
                if now.until
                else "the target runs; commit or rollback?"
            )
    if now.waiting_for is WaitingFor.NOTHING:
        return ""
    return f"waiting for {AWAITED[now.waiting_for]}" + (f": {report.waiting_reason}" if report.waiting_reason else "")


def commands(report: MigrationReport) -> list[tuple[str, str]]:
    """The command lines that end the waiting, each with what it does."""
    found = []
    for step in standing(report).steps:
        more, effect = _COMMANDS[step]
        found.append((f"xo-warmig {step} {report.id}{more}", effect))
    return found


def taken_up_again(report: MigrationReport) -> str:
    """How often a server went on with it after an interruption; empty when none had to."""
    times = report.epoch - 1
    if times < 1:
        return ""
    return "taken up again once" if times == 1 else f"taken up again {times} times"


def kept(report: MigrationReport) -> str:
    """What an ended migration left for the next one; empty when nothing."""
    if report.kept_until is None or not is_end(report.phase):
        return ""
    return f"what was copied is kept until {format_time(report.kept_until)}; a new migration to the same SR goes on from it"
