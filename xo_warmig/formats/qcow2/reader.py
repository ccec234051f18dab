"""Reading the head of a qcow2 file as it streams by: header, L1 table, L2 tables in whatever order the file has them.

A file whose tables stand among its clusters, as the ones that qemu writes itself, is read as far as little lies between them. One
whose L2 tables stand before the L1 table cannot be streamed and is refused.
"""

from collections.abc import Generator
from typing import Never

from xo_warmig.formats.qcow2.header import Header, parse_header
from xo_warmig.formats.qcow2.layout import QcowLayout
from xo_warmig.formats.qcow2.limits import ENTRY_BYTES, LEAST_HEADER_BYTES, MOST_BETWEEN_BYTES
from xo_warmig.formats.qcow2.refusal import refused
from xo_warmig.formats.qcow2.tables import TablePlace, l1_places, stored_bits
from xo_warmig.formats.stream import Reader, Stream


def layout_reader() -> Reader[Never, QcowLayout]:
    """A reader of a stream's head, up to the end of its last table; the result is the layout.

    In memory: a bit per cluster of the disk, so 32 MiB for 16 TiB, the L1 table, at most 1 MiB, and one L2 table.
    """
    return Reader(read_layout)


def read_layout(stream: Stream) -> Generator[None, None, QcowLayout]:
    """The parser of ``layout_reader``."""
    header = parse_header((yield from stream.exact(LEAST_HEADER_BYTES)))
    yield from stream.skip(header.l1_offset - stream.position)
    places = _places((yield from stream.exact(header.l1_entries * ENTRY_BYTES)), header, stream.position)
    each = header.clusters_per_table // 8
    stored = bytearray(header.tables * each)
    for place in places:
        yield from stream.skip(place.offset - stream.position)
        table = yield from stream.exact(header.cluster_bytes)
        first = place.tables_before * each
        stored[first : first + each] = stored_bits(table, header.cluster_bytes)
    return QcowLayout(header.size_bytes, header.cluster_bytes, _on_disk(stored, header))


def _places(l1_table: bytes, header: Header, l1_end: int) -> list[TablePlace]:
    """The L2 tables in the order of the file, none of them where it cannot be."""
    places = sorted(l1_places(l1_table, header.cluster_bytes))
    end = l1_end
    for offset, index in places:
        if index >= header.tables:
            raise refused("an L2 table beyond the end of its disk", index=index, tables=header.tables)
        if offset < end:
            raise refused("L2 tables that overlap, or stand before the L1 table", offset=offset, end=end)
        end = offset + header.cluster_bytes
    between_bytes = end - l1_end - len(places) * header.cluster_bytes
    if between_bytes > MOST_BETWEEN_BYTES:
        raise refused("its tables among its clusters, so that most of it would have to be read", between=between_bytes)
    return places


def _on_disk(stored: bytearray, header: Header) -> bytes:
    """The bits of the disk's clusters, rounded up to a byte; those of the last table that lie beyond must not be set."""
    length = -(-header.clusters // 8)
    unused = 0xFF >> header.clusters % 8 if header.clusters % 8 else 0
    if any(stored[length:]) or stored[length - 1] & unused:
        raise refused("a cluster beyond the end of its disk", clusters=header.clusters)
    del stored[length:]
    return bytes(stored)
