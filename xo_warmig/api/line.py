"""The sending side of one websocket: sends a text, waits until it is taken, and gives up on a peer that takes nothing.

ASGI does not tell whether a peer reads, so this looks at how full the connection's own buffer is, and at what the peer's kernel has
acknowledged. It also says how large a frame may be that the peer sends. The connection is reached through ``receive``, which under
uvicorn is a method of the protocol object that owns the transport; under a server where that is not so, only a ``send`` that blocks is
noticed, and frames are bounded by that server alone.
"""

import array
import asyncio
import fcntl
import termios
from typing import Final

from starlette.types import Receive, Send
from websockets.protocol import Protocol

_FIRST_LOOK_SECONDS: Final = 0.01
_LATER_LOOK_SECONDS: Final = 0.5


class LineDead(Exception):
    """The peer is gone, or took nothing for too long and was dropped."""


class Line:
    """``patience_seconds``: how long the peer may take no byte."""

    def __init__(self, receive: Receive, send: Send, *, patience_seconds: float) -> None:
        self._send = send
        self._patience_seconds = patience_seconds
        protocol = getattr(receive, "__self__", None)
        self._frames = getattr(protocol, "conn", None)
        transport = getattr(protocol, "transport", None)
        self._transport = transport if isinstance(transport, asyncio.WriteTransport) else None

    def take_frames_up_to(self, most_bytes: int) -> None:
        """From the next frame on; a larger one ends the connection as soon as its length is known (1009)."""
        if isinstance(self._frames, Protocol):
            self._frames.max_message_size = most_bytes

    async def send_text(self, text: str) -> None:
        """Returns when the peer took it. Raises LineDead."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.drop()
            raise self._too_slow() from None
        except (OSError, RuntimeError) as error:  # closed meanwhile, by either side
            raise LineDead from error
        await self._taken()

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError) as error:
            raise LineDead from error

    def drop(self) -> None:
        """Without a word, as when the server dies."""
        if self._transport is not None:
            self._transport.abort()

    async def _taken(self) -> None:
        clock = asyncio.get_running_loop().time
        left, pause = self._left_bytes(), _FIRST_LOOK_SECONDS
        deadline = clock() + self._patience_seconds
        while self._buffered_bytes():
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LATER_LOOK_SECONDS, self._patience_seconds / 4)
            now_left = self._left_bytes()
            if now_left < left:
                deadline = clock() + self._patience_seconds
            elif clock() > deadline:
                self.drop()
                raise self._too_slow()
            left = now_left

    def _buffered_bytes(self) -> int:
        if self._transport is None or self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size()

    def _left_bytes(self) -> int:
        """What the peer has yet to take, in our buffer and the kernel's. The kernel asks for more only when much of its own is free."""
        return self._buffered_bytes() + self._unacknowledged_bytes()

    def _unacknowledged_bytes(self) -> int:
        connection = None if self._transport is None else self._transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return 0
        count = array.array("i", [0])
        try:
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
        except OSError:  # not a TCP socket
            return 0
        return count[0]

    def _too_slow(self) -> LineDead:
        return LineDead(f"no byte taken for {self._patience_seconds} s")
