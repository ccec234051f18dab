"""How the buffers are shared out among copies."""

import threading

from xo_warmig.disks.budget import BUFFER_BYTES, LEAST_PER_COPY, MOST_SPARE, ZEROS, Budget, Share


def entered(budget: Budget) -> Share:
    return budget.enter().result(timeout=1)


def take_all(budget: Budget, share: Share) -> list[bytearray]:
    """What a copy can get without waiting."""
    taken = []
    while budget.may_hold(share):
        taken.append(share.take())
    return taken


def test_a_copy_alone_gets_all_that_it_can_use_and_buffers_are_used_again() -> None:
    """And no more."""
    budget = Budget()
    share = entered(budget)
    buffers = take_all(budget, share)
    assert [len(buffer) for buffer in buffers] == [BUFFER_BYTES] * LEAST_PER_COPY
    for buffer in buffers:
        share.give_back(buffer)
    assert share.take() in buffers


def test_a_copy_that_holds_all_it_could_get_stops_no_other() -> None:
    """However many hang, each has a buffer of its own; all together have no more than there are."""
    budget = Budget(most=32, copies=20)
    shares = [entered(budget) for _ in range(20)]
    held = [take_all(budget, share) for share in shares]
    assert all(held)
    assert sum(map(len, held)) == 32
    assert not any(budget.may_hold(share) for share in shares)
    shares[7].give_back(held[7].pop())
    for buffer in held[7]:
        shares[7].give_back(buffer)
    assert budget.may_hold(shares[7])


def test_what_is_lent_is_shared_equally() -> None:
    """Six copies that begin together get three buffers each."""
    budget = Budget(most=32, copies=20)
    shares = [entered(budget) for _ in range(6)]
    assert [len(take_all(budget, share)) for share in shares] == [3] * 6


def test_a_copy_from_afar_gets_more_and_shares_it_with_those_that_come() -> None:
    """It gives back what it has beyond its part as it is sent, and wants less when it is near again."""
    budget = Budget(most=64, copies=20)
    far = entered(budget)
    far.want(30)
    held = take_all(budget, far)
    assert len(held) == 30
    near = entered(budget)
    near.want(40)
    others = take_all(budget, near)
    assert len(others) == 16  # what is left to lend, beside its own
    while len(held) > 22:
        assert far.take_if_free() is None
        far.give_back(held.pop())
    others += take_all(budget, near)
    assert (len(held), len(others)) == (22, 23)
    far.want(4)
    assert far.take_if_free() is None


def test_few_buffers_are_kept_when_nobody_has_them() -> None:
    """So that what a far copy had goes back to the machine."""
    budget = Budget()
    share = entered(budget)
    share.want(30)
    for buffer in take_all(budget, share):
        share.give_back(buffer)
    assert len(budget._spare) == MOST_SPARE


def test_a_copy_waits_for_its_own_buffers() -> None:
    """It wakes as soon as its writer gives one back."""
    budget = Budget(most=1, copies=1)
    share = entered(budget)
    first = share.take()
    taken: list[bytearray] = []
    thread = threading.Thread(target=lambda: taken.append(share.take()))
    thread.start()
    thread.join(0.05)
    assert not taken
    share.give_back(ZEROS)
    assert not taken
    share.give_back(first)
    thread.join(5)
    assert taken[0] is first


def test_one_copy_too_many_waits_in_turn() -> None:
    """One that gave up waiting is passed over."""
    budget = Budget(most=2, copies=2)
    first, second = entered(budget), entered(budget)
    waiting = [budget.enter() for _ in range(3)]
    assert not any(place.done() for place in waiting)
    assert waiting[0].cancel()
    first.leave()
    assert waiting[1].done()
    assert not waiting[2].done()
    second.leave()
    assert waiting[2].done()


def test_what_is_not_free_is_not_waited_for() -> None:
    """By a reader with filled buffers in hand; its first is always there."""
    budget = Budget(most=3, copies=2)
    first, second = entered(budget), entered(budget)
    held = [first.take_if_free(), first.take_if_free(), first.take_if_free()]
    assert [buffer is None for buffer in held] == [False, False, True]
    assert second.take_if_free() is not None
    assert second.take_if_free() is None
    assert held[0] is not None
    first.give_back(held[0])
    assert second.take_if_free() is held[0]


def test_a_copy_in_a_downtime_waits_for_none_that_may_take_days() -> None:
    """It has a place beside theirs, and leaves none of them free for another ordinary one."""
    budget = Budget(most=4, copies=2, urgent=1)
    slow = [entered(budget) for _ in range(2)]
    waiting, final = budget.enter(), budget.enter(urgent=True).result(timeout=1)
    assert final.take()
    another = budget.enter(urgent=True)
    assert not waiting.done()
    assert not another.done()
    final.leave()
    assert another.done()
    another.result().leave()
    assert not waiting.done()
    slow[0].leave()
    assert waiting.done()
