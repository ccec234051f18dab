"""What a benchmark asks of a simulated pool beside XAPI: its ``/_sim/`` pages."""

import asyncio
import json
import urllib.request
from typing import Any

from bench.side import unverified
from xo_warmig.simulator.launch import Pool


async def ask(pool: Pool, path: str, **order: Any) -> Any:
    """A GET without an order, a POST with one."""
    return await asyncio.to_thread(_ask, pool, path, order)


def _ask(pool: Pool, path: str, order: dict[str, Any]) -> Any:
    body = json.dumps(order).encode() if order else None
    request = urllib.request.Request(f"{pool.url}/_sim/{path}", data=body)
    context = unverified() if pool.config.https else None
    with urllib.request.urlopen(request, timeout=60, context=context) as response:
        return json.load(response)
