"""What a host's rrdd says of a VM's writes."""

import pytest

from xo_warmig.xapi.rrd_updates import is_complete, written_bytes_per_second

VM = "a1b2c3d4-0000-4000-8000-000000000001"
OTHER = "a1b2c3d4-0000-4000-8000-000000000002"


def answer(columns: dict[str, list[str]], uuid: str = VM) -> bytes:
    """As xapi writes it; ``columns``: the values of each name, the newest first."""
    legend = "".join(f"<entry>AVERAGE:vm:{uuid}:{name}</entry>" for name in columns)
    rows = "".join(
        f"<row><t>{1000 - 5 * number}</t>{''.join(f'<v>{value}</v>' for value in row)}</row>"
        for number, row in enumerate(zip(*columns.values(), strict=True))
    )
    meta = f"<start>5</start><step>5</step><end>1000</end><rows>2</rows><columns>2</columns><legend>{legend}</legend>"
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<xport><meta>{meta}</meta><data>{rows}</data></xport>".encode()


def test_the_writes_of_all_disks_come_together() -> None:
    """Each one's mean over time, whatever the guest calls it."""
    columns = {"vbd_xvda_write": ["100.0", "300"], "vbd_hdb_write": ["1e3", "1000"], "vbd_xvdaa_write": ["0.0", "0.0"]}
    assert written_bytes_per_second(answer(columns), VM) == 1200


def test_nothing_else_is_taken_for_them() -> None:
    """Reads, operations, latencies, and the same writes in MiB have names that look alike."""
    others = [
        "vbd_xvda_read",
        "vbd_xvda_iops_write",
        "vbd_xvda_io_throughput_write",
        "vbd_xvda_write_latency",
        "memory",
    ]
    columns = {name: ["7", "7"] for name in others}
    assert written_bytes_per_second(answer(columns), VM) is None
    assert written_bytes_per_second(answer(columns | {"vbd_xvda_write": ["5", "5"]}), VM) == 5


def test_what_was_not_measured_does_not_count() -> None:
    """NaN stands where there was no reading: before the VM was started, or of a disk that came later."""
    columns = {"vbd_xvda_write": ["50.0", "NaN"], "vbd_xvdb_write": ["NaN", "NaN"], "vbd_xvdc_write": ["Infinity", "2"]}
    assert written_bytes_per_second(answer(columns), VM) == 52
    assert written_bytes_per_second(answer({"vbd_xvda_write": ["NaN", "NaN"]}), VM) is None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(answer({"vbd_xvda_write": ["5"]}, OTHER), id="of another VM"),
        pytest.param(answer({"vbd_xvda_write": ["5"]}).replace(b"AVERAGE", b"MIN"), id="of another kind"),
        pytest.param(answer({"vbd_xvda_write": []}), id="without rows"),
        pytest.param(b"<xport><meta><legend/></meta><data/></xport>", id="without a legend"),
    ],
)
def test_an_answer_that_says_nothing_of_the_vm(document: bytes) -> None:
    """It is not known then."""
    assert written_bytes_per_second(document, VM) is None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b'{"meta":{"legend":[]},"data":[]}', id="JSON"),
        pytest.param(answer({"vbd_xvda_write": ["5"]})[:-9], id="cut off"),
        pytest.param(answer({"vbd_xvda_write": ["five"]}), id="no number"),
        pytest.param(answer({"vbd_xvda_write": ["5</v><v>6"]}), id="more values than names"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a "b">]><xport/>', id="with entities"),
    ],
)
def test_what_is_no_such_answer(document: bytes) -> None:
    """Is refused whole."""
    with pytest.raises(ValueError, match=r".+"):
        written_bytes_per_second(document, VM)


def test_the_end_is_seen_without_the_connection_s() -> None:
    """Which the host promises to keep open."""
    whole = answer({"vbd_xvda_write": ["5"]})
    assert is_complete(whole + b"\n")
    assert not is_complete(whole[:-1])
