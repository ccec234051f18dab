"""What a host's rrdd says of a VM's writes in its answer to ``/rrd_updates``. Pure.

Asked for as XML, which is the one form that has been the same since there are these figures; as JSON it was three: with names that have
no quotes and NaN as it is, then with its rows inside of ``meta``, then with numbers as strings
(ocaml/libs/xapi-rrd/lib/rrd_updates.ml). The figures are ``vbd_xvda_write``, bytes per second of what the guest wrote to a disk, kept
without being asked for: by rrdd itself in 2013 (rrdd/rrdd_main.ml), by rrdp-iostat now. An old guest's disk may be ``hda`` or
``sda``.
"""

import math
import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

# Not the writes per second, nor the same in MiB, which newer releases have beside it.
_WRITES: Final = re.compile(r"vbd_[a-z]+_write\Z")
_END: Final = b"</xport>"


def is_complete(document: bytes | bytearray) -> bool:
    """Whether the answer's end has come: its connection may stay open."""
    return document.rstrip().endswith(_END)


def written_bytes_per_second(document: bytes, vm: str) -> float | None:
    """The mean over the answer's rows, of all disks of the VM together; None where it says nothing of any.

    Raises:
        ValueError: it is no such answer.
    """
    if b"<!" in document:  # no entities: they would be expanded
        raise ValueError("the answer has a document type")
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise ValueError(f"the answer is no XML: {error}") from error
    legend = [entry.text or "" for entry in root.iterfind("meta/legend/entry")]
    rows = [[_number(value.text or "") for value in row.iterfind("v")] for row in root.iterfind("data/row")]
    if any(len(row) != len(legend) for row in rows):
        raise ValueError("a row has not as many values as the legend has entries")
    means = [_mean([row[column] for row in rows]) for column in _columns(legend, vm)]
    known = [mean for mean in means if mean is not None]
    return sum(known) if known else None


def _columns(legend: Sequence[str], vm: str) -> list[int]:
    """Those of the VM's disks; an entry is ``AVERAGE:vm:<uuid>:<name>``."""
    split = [entry.split(":", 3) for entry in legend]
    return [
        number
        for number, entry in enumerate(split)
        if entry[:3] == ["AVERAGE", "vm", vm] and len(entry) == 4 and _WRITES.match(entry[3])
    ]


def _mean(values: Sequence[float]) -> float | None:
    """Of those that are known: NaN stands where nothing was measured."""
    known = [value for value in values if math.isfinite(value) and value >= 0]
    return sum(known) / len(known) if known else None


def _number(text: str) -> float:
    """Python reads NaN and Infinity as OCaml writes them."""
    return float(text)
