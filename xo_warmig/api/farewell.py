"""What uvicorn's websocket protocol lacks: a peer that sends too much is told so before its connection ends.

uvicorn sends the close frame (1009 for a frame beyond the limit) and closes the socket at once. The peer is still sending then, its
kernel answers with a reset, and many clients never see the code. npm's ws goes on reading and throws away what comes; so does this.
"""

import asyncio
from typing import Any, Final

QUIET_SECONDS: Final = 0.5
MOST_SECONDS: Final = 30.0


class Farewell:
    """Mixed into ``WebSocketsSansIOProtocol``, whose attributes it names; given to uvicorn as ``ws``."""

    loop: asyncio.AbstractEventLoop
    conn: Any
    transport: Any
    queue: Any
    close_sent: Any
    close_timer: Any

    _last_call: float | None = None

    def handle_parser_exception(self) -> None:
        """Called with each piece of data from the one on that cannot be read."""
        now = self.loop.time()
        if self._last_call is None:
            self._last_call = now + MOST_SECONDS
            sent = self.conn.close_sent
            self.queue.put_nowait({"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason})
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.resume_reading()
            self.close_sent = True
        if self.close_timer is not None:
            self.close_timer.cancel()
        # Its presence also keeps uvicorn from closing the socket when the application returns.
        self.close_timer = self.loop.call_at(min(now + QUIET_SECONDS, self._last_call), self.transport.close)
