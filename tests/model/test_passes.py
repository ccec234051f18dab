"""What a pass looks like in a line of a log."""

from xo_warmig.model.passes import PassKind, PassReport, Verdict
from xo_warmig.model.units import MIB


def test_a_pass_prints_in_one_line() -> None:
    """Number, kind, verdict, and what it moved how fast."""
    report = PassReport(
        number=2,
        kind=PassKind.DELTA,
        verdict=Verdict.COMPLETE,
        started=0.0,
        seconds=3.4,
        fixed_seconds=2.9,
        bytes=26 * MIB,
        written_bytes=26 * MIB,
        throughput_bytes_per_second=52.0 * MIB,
        dirty_bytes_per_second=None,
        predicted_downtime_seconds=None,
        disks=[],
    )
    assert str(report) == "pass 2 delta complete: 26.0 MiB in 3.4 s, 52.0 MiB/s"
