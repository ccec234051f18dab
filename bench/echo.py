"""A server that does nothing but answer, in a process of its own: how soon anybody can be answered while the machine is so busy."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import Any


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to it; it ends with this."""
    command = [sys.executable, "-m", "bench.echo"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(await process.stdout.readline()))
        yield reader, writer
        writer.close()
    finally:
        process.kill()
        await process.wait()


async def echo_times(each_seconds: float, over: "asyncio.Future[Any]") -> list[float]:
    """Milliseconds of each answer, until it is over; see ``bench.calling.answer_times``."""
    took: list[float] = []
    async with echo() as (reader, writer):
        due = time.monotonic()
        while not over.done():
            writer.write(b".\n")
            await reader.readline()
            took.append((time.monotonic() - due) * 1000)
            due = max(due + each_seconds, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
    return took


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started it


if __name__ == "__main__":
    asyncio.run(_serve())
