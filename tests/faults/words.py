"""What people say to a migration on its way. Each word is said once: where a server was killed, the next one is only told what is not
in its record, so that a word that was taken has to outlive the process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tests.faults.evidence import Json
from xo_warmig.client import CallFailed, Client

_LOOK_SECONDS = 0.03


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """``warmMigration.<name>``, said once the migration is in ``phase``; ``fact``: the type of the event that it is recorded as."""

    name: str
    phase: str
    fact: str
    parameters: dict[str, Any] = {}


CANCEL = Word(name="cancel", phase="holding", fact="cancelAsked")
PAUSE = Word(name="pause", phase="holding", fact="pauseAsked")
RESUME = Word(name="resume", phase="holding", fact="resumeAsked")
CUT_OVER = Word(name="cutover", phase="holding", fact="cutoverAsked")
COMMIT = Word(name="commit", phase="awaiting_commit", fact="commitAsked")
TAKE_BACK = Word(
    name="rollback", phase="awaiting_commit", fact="rollbackAsked", parameters={"discardTargetChanges": True}
)


async def say(client: Client, words: tuple[Word, ...], report_of: Callable[[], Awaitable[Json | None]]) -> None:
    """Each in turn, in its phase; returns when all are recorded and answered, or the migration ended otherwise."""
    for word in words:
        while (report := await report_of()) is None or not await _is_said(client, report, word):
            if report is not None and report["finished"] is not None:
                return
            if report is not None and report["phase"] == word.phase:
                await _say_one(client, report, word)
                break
            await asyncio.sleep(_LOOK_SECONDS)


async def _is_said(client: Client, report: Json, word: Word) -> bool:
    events: list[Json] = await client.call("warmMigration.events", id=report["id"])
    return any(each["event"]["type"] == word.fact for each in events)


async def _say_one(client: Client, report: Json, word: Word) -> None:
    try:
        await client.call(f"warmMigration.{word.name}", id=report["id"], **word.parameters)
    except CallFailed as failure:
        # The answer to a word may be how the migration ended; that it was recorded is what counts.
        if not await _is_said(client, report, word):
            raise AssertionError(f"{word.name} was refused: {failure}") from failure
