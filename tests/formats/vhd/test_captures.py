"""What a real xapi sent, byte for byte: read, and written again."""

from uuid import UUID

from xo_warmig.formats.vhd import BITMAP_FULL, DiskType, VhdWriter, layout_reader, stream_length
from xo_warmig.formats.vhd.footer import pack_footer, parse_footer
from xo_warmig.formats.vhd.geometry import geometry_of
from xo_warmig.formats.vhd.header import ParentLocator, header_for, pack_header, parse_header
from xo_warmig.model.units import GIB, MIB


def test_a_full_export_is_read(full_head: bytes) -> None:
    """8 GiB, of which the first 16 MiB are allocated; the rest of its table, empty, is made up here."""
    reader = layout_reader()
    reader.feed(full_head)
    reader.feed(b"\xff" * reader.wanted)
    layout = reader.result
    assert (layout.size_bytes, layout.differencing, layout.block_bytes) == (8 * GIB, False, 2 * MIB)
    assert list(layout.indexes) == list(range(8))
    assert layout.table_end == 2048 + 4096 * 4
    assert stream_length(layout) == layout.table_end + 8 * (512 + 2 * MIB) + 512
    assert layout.footer.creator_application == b"caml"
    assert layout.header.parent is None


def test_a_differencing_export_is_read(delta_head: bytes) -> None:
    """16 MiB with block 2 changed: the stream that was 2,100,736 bytes long."""
    reader = layout_reader()
    reader.feed(delta_head)
    layout = reader.result
    assert layout.differencing
    assert list(layout.indexes) == [2]
    assert stream_length(layout) == 2_100_736
    assert reader.unused.startswith(BITMAP_FULL + bytes(512))
    assert layout.header.locators == (ParentLocator(b"MacX", 1, 98, 1536),)
    assert layout.header.parent is not None
    assert layout.header.parent.unique_id == UUID("4daf6601-f3fd-41e4-be5e-4bc41102c13d")
    assert layout.header.parent.name.endswith("/e3bbfb36-794a-4681-9c61-f6cbdaecc959.vhd")


def test_a_full_export_is_written_alike(full_head: bytes) -> None:
    """All of the 4 KiB that were kept."""
    footer = parse_footer(full_head[:512])
    writer = VhdWriter(footer.current_size_bytes, range(8), unique_id=footer.unique_id)
    assert writer.head()[:4096] == full_head


def test_a_differencing_export_is_written_alike(delta_head: bytes) -> None:
    """Head, bitmap and the beginning of the data."""
    footer, header = parse_footer(delta_head[:512]), parse_header(delta_head[512:1536])
    writer = VhdWriter(footer.current_size_bytes, [2], unique_id=footer.unique_id, parent=header.parent)
    stream = b"".join(writer.stream(lambda index: bytes(2 * MIB)))
    assert stream[:4096] == delta_head
    assert stream[-512:] == delta_head[:512]
    assert len(stream) == 2_100_736


def test_footer_and_header_are_packed_as_they_were(full_head: bytes, delta_head: bytes) -> None:
    """Every field is kept, and those that XAPI computes are computed alike."""
    for head in (full_head, delta_head):
        footer, header = parse_footer(head[:512]), parse_header(head[512:1536])
        assert pack_footer(footer) == head[:512]
        assert pack_header(header) == head[512:1536]
        assert footer.geometry == geometry_of(footer.current_size_bytes)
        assert header == header_for(2048, header.max_table_entries, 2 * MIB, header.parent)
    assert footer.disk_type is DiskType.DIFFERENCING
