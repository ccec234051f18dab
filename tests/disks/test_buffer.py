"""Where the buffers of copies lie."""

from xo_warmig.disks.buffer import PAGE_BYTES, new_buffer, place_of


def test_a_buffer_lies_half_a_page_behind_the_start_of_one() -> None:
    """Whatever else was allocated before, and it stays there when it is filled."""
    kept = []
    for count_bytes in (2 * PAGE_BYTES, 64 * 1024, 2 << 20):
        buffer = new_buffer(count_bytes)
        kept.append(buffer)
        assert (len(buffer), place_of(buffer)) == (count_bytes, PAGE_BYTES // 2)
        assert not any(buffer)
        memoryview(buffer)[:] = b"\xff" * count_bytes
        assert place_of(buffer) == PAGE_BYTES // 2
