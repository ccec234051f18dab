"""What limits do to a copy in virtual time: the waiting that a thread would do is the event loop's here."""

import asyncio
from typing import Any

from xo_warmig.disks.throttle import ThrottledLanes, ThrottledSink, ThrottledSource


def end_of(stream: Any) -> Any:
    """The pool's own end behind a stream."""
    if isinstance(stream, ThrottledLanes):
        return stream.lanes
    return stream.stream if isinstance(stream, ThrottledSource | ThrottledSink) else stream


async def pass_through(stream: Any, count_bytes: int) -> None:
    """Wait for as long as the stream's pace would have made its thread wait."""
    if not isinstance(stream, ThrottledSource | ThrottledSink | ThrottledLanes):
        return
    pace, loop = stream._pace, asyncio.get_running_loop()
    begin = loop.time()
    while count_bytes:
        while (due := pace._credit.due(loop.time())) > loop.time():
            await asyncio.sleep(due - loop.time())
        count_bytes -= pace._credit.spend(count_bytes)
    pace.waited_seconds += loop.time() - begin
