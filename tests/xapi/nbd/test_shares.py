"""Who gets how many NBD connections to which host."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.xapi.nbd.shares import Limits, Wish, share_out, turns_over
from xo_warmig.xapi.nbd.tickets import Sharing, Ticket

EIGHT = Limits(most=8, more_if_urgent=2)


def wish(most: int, *servers: str, urgent: bool = False, **held: int) -> Wish:
    return Wish(servers or ("host",), most, Counter(held), urgent)


def counts(*wishes: Wish) -> list[int]:
    return [share.total() for share in share_out(wishes, EIGHT)]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ([wish(4)], [4]),
        ([wish(16)], [8]),
        ([wish(4), wish(4)], [4, 4]),
        ([wish(4), wish(4), wish(4)], [3, 3, 2]),
        ([wish(8), wish(1), wish(2)], [5, 1, 2]),
        ([wish(4)] * 10, [1] * 8 + [0, 0]),
        ([wish(0), wish(4)], [0, 4]),
    ],
)
def test_the_first_connection_of_each_comes_before_anybodys_second(wishes: list[Wish], expected: list[int]) -> None:
    """Those who came first have what is left over; what one does not want is for the others."""
    assert counts(*wishes) == expected


def test_a_vm_that_is_down_goes_before_full_passes() -> None:
    """It has a part of its own beside theirs; more disks than that take connections away from them, the last ones first."""
    full = [wish(4)] * 2
    assert counts(*full, wish(1, urgent=True), wish(1, urgent=True)) == [4, 4, 1, 1]
    assert counts(*full, *[wish(1, urgent=True)] * 4) == [3, 3, 1, 1, 1, 1]
    assert counts(*[wish(1)] * 8, *[wish(1, urgent=True)] * 12) == [0] * 8 + [1] * 10 + [0] * 2


def test_a_disk_on_shared_storage_is_read_from_every_host() -> None:
    """The hosts with the fewest first; and who can choose leaves a host to who cannot."""
    assert share_out([wish(16, "a", "b")], EIGHT) == [Counter(a=8, b=8)]
    assert share_out([wish(4, "a", "b")], EIGHT) == [Counter(a=2, b=2)]
    assert share_out([wish(8, "a", "b"), wish(8, "a")], EIGHT) == [Counter(b=8), Counter(a=8)]


def test_what_is_open_stays_open_where_it_may() -> None:
    """Another host is no better for having fewer."""
    assert share_out([wish(2, "a", "b", b=2)], EIGHT) == [Counter(b=2)]


WISHES = st.lists(
    st.builds(
        lambda servers, most, held, urgent: Wish(tuple(servers), most, Counter(held), urgent),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
        st.integers(0, 12),
        st.lists(st.sampled_from("abc"), max_size=4),
        st.booleans(),
    ),
    max_size=30,
)


@given(WISHES)
@settings(max_examples=50, deadline=None)
def test_no_host_gets_more_than_it_may_and_nobody_more_than_he_wants(wishes: list[Wish]) -> None:
    """Whoever has none where one was wanted finds his hosts full, and none of those who have two is to blame for it."""
    shares = share_out(wishes, EIGHT)
    used = sum(shares, Counter[str]())
    ordinary = sum((s for s, w in zip(shares, wishes, strict=True) if not w.urgent), Counter[str]())
    assert all(count <= 10 for count in used.values())
    assert all(count <= 8 for count in ordinary.values())
    for share, each in zip(shares, wishes, strict=True):
        assert share.total() <= each.most
        assert set(share) <= set(each.servers)
        if each.most and not share:
            held = [s for s, w in zip(shares, wishes, strict=True) if w.urgent <= each.urgent]
            assert not any(s.total() > 1 and set(s) & set(each.servers) for s in held if len(s) == 1)


class Copies:
    """Some that share, and how often each was told to look again."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sharing = Sharing(EIGHT, lambda: self.now)
        self.news: Counter[Ticket] = Counter()

    def ask(self, most: int, *servers: str, urgent: bool = False) -> Ticket:
        ticket = self.sharing.ask(servers or ("host",), most, lambda: self.news.update([ticket]), urgent=urgent)
        return ticket

    def take_all(self, ticket: Ticket) -> list[str]:
        taken = []
        while (server := ticket.take()) is not None:
            taken.append(server)
        return taken


def test_who_comes_late_gets_what_others_give_back() -> None:
    """They are told, and give back just what is not theirs any more; he is told when they have."""
    copies = Copies()
    one, two = copies.ask(4), copies.ask(4)
    assert [len(copies.take_all(each)) for each in (one, two)] == [4, 4]
    late = copies.ask(4)
    assert late.take() is None
    assert (one.surplus(), two.surplus()) == (["host"], ["host"])
    assert copies.news[one]
    one.give_back("host")
    assert copies.news[late]
    assert copies.take_all(late) == ["host"]
    assert one.take() is None
    two.give_back("host")
    assert copies.take_all(late) == ["host"]
    assert not one.surplus() + two.surplus() + late.surplus()


def test_what_a_copy_leaves_behind_is_for_those_that_run() -> None:
    """The same when it only wants less."""
    copies = Copies()
    one, two = copies.ask(8), copies.ask(8)
    taken = {each: len(copies.take_all(each)) for each in (one, two)}
    assert taken == {one: 4, two: 4}
    two.want(2)
    assert two.surplus() == ["host"] * 2
    two.give_back("host")
    assert len(copies.take_all(one)) == 1
    two.withdraw()
    assert len(copies.take_all(one)) == 3
    assert two.take() is None


def test_a_vm_that_is_down_waits_for_no_full_pass() -> None:
    """Two connections are there at once; the next one as soon as another copy has given one back."""
    copies = Copies()
    full = copies.ask(8)
    assert len(copies.take_all(full)) == 8
    down = [copies.ask(1, urgent=True) for _ in range(3)]
    assert [each.take() for each in down] == ["host", "host", None]
    assert full.surplus() == ["host"]
    full.give_back("host")
    assert full.take() is None
    assert down[2].take() == "host"


def test_more_disks_than_connections_take_turns() -> None:
    """Who has read for half a minute waits behind those who could not, the first ones first; nobody else gives anything up for that."""
    assert turns_over([wish(1)] * 10, [40.0, 50.0, 60.0, *[20.0] * 5, 0.0, 0.0], EIGHT) == [2, 1]
    assert turns_over([wish(1)] * 10, [20.0] * 10, EIGHT) == []
    assert turns_over([wish(1)] * 8, [90.0] * 8, EIGHT) == []
    elsewhere = [wish(1, "a")] * 8 + [wish(1, "b"), wish(1, "b"), wish(1, "a")]
    assert turns_over(elsewhere, [50.0] * 7 + [70.0, 99.0, 99.0, 0.0], EIGHT) == [7]


@pytest.mark.parametrize(
    ("disks", "connections"),
    [([["host"]] * 12, 8), ([["a"]] * 8 + [["b"]] * 8 + [["a", "b"]], 16), ([["a", "b"]] * 20 + [["a"]], 16)],
    ids=["one host", "one disk that two hosts serve", "one that only one serves"],
)
def test_a_turn_that_is_over_comes_again(disks: list[list[str]], connections: int) -> None:
    """In the end everybody has had one, also who could go to another host where all are full."""
    copies, seen = Copies(), set[Ticket]()
    tickets = [copies.ask(1, *servers) for servers in disks]
    for _ in range(40):
        copies.now += 10.0
        tickets[0].take_turns()
        for each in tickets:
            for server in each.surplus():
                each.give_back(server)
        seen |= {each for each in tickets if each.take() or each.held.total()}
        assert sum(each.held.total() for each in tickets) == connections
    assert seen == {*tickets}


def test_a_vm_that_is_down_is_asked_for_no_turn() -> None:
    """However long it reads."""
    assert turns_over([wish(1, urgent=True)] * 10 + [wish(1)], [99.0] * 11, EIGHT) == []


def test_another_host_is_tried_first_each_time() -> None:
    """So that one that is down does not get them all; one that failed is the last to be tried again."""
    copies = Copies()
    firsts = [copies.ask(1, "a", "b", "c") for _ in range(3)]
    assert {each.take() for each in firsts} == {"a", "b", "c"}
    failed = firsts[0].servers[0]
    firsts[0].move(sorted(firsts[0].servers, key=lambda server: server == failed))
    for each in firsts:
        each.withdraw()
    again = copies.ask(1, *firsts[0].servers)
    again.move(firsts[0].servers)
    assert again.take() != failed
