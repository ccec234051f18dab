"""The open ends of a disk's copy, of which one may be closed while other things are done."""

import asyncio
from typing import Any

import pytest

from xo_warmig.errors import TransferError
from xo_warmig.replication.ends import Ends


class End:
    """Takes its time to be closed, and may not get free."""

    def __init__(self, *, clings: bool = False) -> None:
        self.stream: Any = self
        self.freed = False
        self._clings = clings

    async def finish(self) -> None:
        raise AssertionError

    async def abort(self) -> None:
        await asyncio.sleep(0.01)
        if self._clings:
            raise TransferError("it is held", code="DISK_STILL_ATTACHED")
        self.freed = True


async def opened(end: End) -> Any:
    return end


async def test_an_end_is_closed_beside_other_things_and_seen_free_after_them() -> None:
    """R10: whoever goes on has not waited, and in the end it is gone."""
    ends, end = Ends(), End()
    ends.close_beside(await ends.open(opened(end)))
    seen = [end.freed]
    await ends.closed()
    seen.append(end.freed)
    await ends.closed()
    assert seen == [False, True]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_to_close_all_is_to_wait_for_what_is_being_closed(cancelled: bool) -> None:
    """Even where whoever waits is cancelled."""
    ends, end, other = Ends(), End(), End()
    ends.close_beside(await ends.open(opened(end)))
    await ends.open(opened(other))
    closing = asyncio.create_task(ends.close())
    await asyncio.sleep(0)
    if cancelled:
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    else:
        assert await closing == []
    assert (end.freed, other.freed) == (True, True)


async def test_what_does_not_get_free_is_told_by_whoever_looks_first() -> None:
    """And once."""
    ends = Ends()
    ends.close_beside(await ends.open(opened(End(clings=True))))
    with pytest.raises(TransferError, match="it is held"):
        await ends.closed()
    assert await ends.close() == []
    ends.close_beside(await ends.open(opened(End(clings=True))))
    assert [error.code for error in await ends.close()] == ["DISK_STILL_ATTACHED"]
