"""Which way of reading is taken, by what the pool offers and by what each way made."""

import pytest

from xo_warmig.model.passes import DiskPassReport, PassKind, PassReport, Verdict, Way
from xo_warmig.model.requests import Transport
from xo_warmig.model.units import GIB, MIB
from xo_warmig.replication.choosing import Offer, choose_way
from xo_warmig.replication.measured import rates_of

SERVED = Offer()


def read(way: Way, mib_per_second: float, read_bytes: int = GIB, *, listed_bytes: int = 0) -> DiskPassReport:
    return DiskPassReport(
        disk="disk",
        verdict=Verdict.COMPLETE,
        read_bytes=read_bytes,
        written_bytes=read_bytes,
        seconds=99.0,
        transfer_seconds=read_bytes / MIB / mib_per_second,
        way=way,
        listed_bytes=listed_bytes,
    )


def report(
    *disks: DiskPassReport, number: int = 1, verdict: Verdict = Verdict.COMPLETE, throttled: bool = False
) -> PassReport:
    return PassReport(
        number=number,
        kind=PassKind.FULL,
        verdict=verdict,
        started=0.0,
        seconds=99.0,
        fixed_seconds=1.0,
        bytes=GIB,
        written_bytes=GIB,
        throughput_bytes_per_second=1.0,
        dirty_bytes_per_second=None,
        predicted_downtime_seconds=None,
        disks=list(disks),
        throttled=throttled,
    )


def way(full: bool, *passes: PassReport, earlier: tuple[PassReport, ...] = ()) -> Way:
    rates = rates_of(passes, earlier)
    return choose_way(full=full, transport=Transport.AUTO, offer=SERVED, rates=rates).way


@pytest.mark.parametrize("full", [True, False])
def test_where_nothing_is_known_blocks_come_first(full: bool) -> None:
    """And where just one way is."""
    blocks = Way.NBD if full else Way.CBT
    assert way(full) is blocks
    assert way(full, report(read(blocks, 1))) is blocks
    assert way(full, report(read(Way.VHD, 1000))) is blocks


@pytest.mark.parametrize(("export", "expected"), [(59, Way.NBD), (61, Way.VHD)])
def test_a_full_pass_takes_an_export_that_is_clearly_faster(export: float, expected: Way) -> None:
    """By half; less may be the hour's."""
    assert way(True, report(read(Way.NBD, 40)), earlier=(report(read(Way.VHD, export)),)) is expected


@pytest.mark.parametrize(("export", "expected"), [(470, Way.CBT), (490, Way.VHD)])
def test_a_delta_counts_what_an_export_would_read_more(export: float, expected: Way) -> None:
    """Six times the bytes as whole blocks, and twice as fast beside."""
    tracked = report(read(Way.CBT, 40, 100 * MIB, listed_bytes=600 * MIB), number=2)
    assert way(False, report(read(Way.VHD, export)), tracked) is expected


def test_the_reason_names_the_figures() -> None:
    """Of both, and where they were seen."""
    rates = rates_of([report(read(Way.NBD, 41), number=3)], [report(read(Way.VHD, 118))])
    chosen = choose_way(full=True, transport=Transport.AUTO, offer=SERVED, rates=rates)
    assert chosen.reason == "NBD read 41.0 MiB/s in pass 3, an export 118.0 MiB/s in an earlier migration"


def test_the_newest_counts_and_only_what_says_something() -> None:
    """Of whole passes that moved enough, with nothing that held them back."""
    rates = rates_of(
        [
            report(read(Way.NBD, 10), read(Way.NBD, 10)),
            report(read(Way.NBD, 50), read(Way.NBD, 100), number=2),
            report(read(Way.NBD, 1, MIB), number=3),
            report(read(Way.NBD, 2), number=4, throttled=True),
            report(read(Way.NBD, 3), number=5, verdict=Verdict.PARTIAL),
        ],
        [report(read(Way.NBD, 7))],
    )
    assert list(rates) == [Way.NBD]
    assert rates[Way.NBD].bytes_per_second == pytest.approx(100 * MIB)
    assert rates[Way.NBD].where == "in pass 2"


def test_what_is_not_offered_is_not_taken_however_fast() -> None:
    """The reason is the pool's then."""
    rates = rates_of([report(read(Way.CBT, 1000), read(Way.NBD, 1000), read(Way.VHD, 1))])
    chosen = choose_way(full=True, transport=Transport.AUTO, offer=Offer(nbd="no network"), rates=rates)
    assert (chosen.way, chosen.reason) == (Way.VHD, "not over NBD: no network")
    assert choose_way(full=False, transport=Transport.AUTO, offer=Offer(cbt="it crashed"), rates=rates).way is Way.VHD
    assert choose_way(full=True, transport=Transport.VHD, offer=SERVED, rates=rates).way is Way.VHD


@pytest.mark.parametrize(
    ("full", "offer", "expected"),
    [
        (True, SERVED, Way.NBD),
        (True, Offer(nbd="no network"), Way.NBD),
        (False, SERVED, Way.CBT),
        (False, Offer(nbd="no network"), Way.CBT),
        (False, Offer(cbt="it crashed"), Way.NBD),
    ],
)
def test_transport_nbd_takes_nothing_else_however_slow(full: bool, offer: Offer, expected: Way) -> None:
    """A delta that nothing lists is a copy of the whole disk."""
    rates = rates_of([report(read(Way.CBT, 1), read(Way.NBD, 1), read(Way.VHD, 1000))])
    chosen = choose_way(full=full, transport=Transport.NBD, offer=offer, rates=rates)
    assert (chosen.way, chosen.no_other) == (expected, True)
    assert chosen.reason.startswith("transport nbd was asked for")
