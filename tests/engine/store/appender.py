"""A process that appends facts until it is killed, and says which were acknowledged: ``appender.py DATABASE NAME``."""

import asyncio
import os
import sys

from tests.engine.store.facts import planned
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.model.events import Event, Warned
from xo_warmig.model.reports import Warning_


def group(round_: int) -> list[Event]:
    """One to three facts that belong together: each says how many they are, and which it is."""
    size = round_ % 3 + 1
    return [
        Warned(warning=Warning_(code="TEST", message="", evidence={"round": round_, "size": size, "part": part}))
        for part in range(size)
    ]


async def append_for_ever(store: DatabaseStore, migration: str) -> None:
    await store.append(migration, 0.0, [planned()])
    for round_ in range(sys.maxsize):
        recorded = await store.append(migration, float(round_), group(round_))
        os.write(1, f"{migration} {recorded[-1].number}\n".encode())


async def main(url: str, name: str) -> None:
    store = DatabaseStore(Database(url))
    await asyncio.gather(*(append_for_ever(store, f"{name}-{number}") for number in range(3)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
