"""What people do to storage repositories through XO's API: scan, rename."""

from msgspec import UNSET, UnsetType

from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.directory import Directory


class Srs:
    """Those of all connected pools. All raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def scan(self, sr: str) -> None:
        """Returns when its pool knows again what is on it."""
        calls = (await self._directory.pool_of_sr(sr)).calls
        await tasks.run(calls, "SR.scan", await objects.ref_of(calls, "SR", sr))

    async def rename(
        self, sr: str, *, name_label: str | UnsetType = UNSET, name_description: str | UnsetType = UNSET
    ) -> None:
        """Set what is given and is not so already."""
        calls = (await self._directory.pool_of_sr(sr)).calls
        ref, record = await objects.record_of(calls, "SR", sr)
        for field, wanted in (("name_label", name_label), ("name_description", name_description)):
            if wanted is not UNSET and wanted != record[field]:
                await calls.call(f"SR.set_{field}", ref, wanted)
