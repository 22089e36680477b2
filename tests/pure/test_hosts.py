"""Which host is tried first: known failures, one trial at a time, probes that go round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.hosts import (
    BAD_HOST_LONGEST,
    BAD_HOST_WAIT,
    Here,
    Hosts,
    avoided_for,
)
from tdc.node_agent.deliver.mx import Candidate

A, B, C = (Candidate(f"mx{n}.intake.example", f"192.0.2.{n}", 25) for n in (1, 2, 3))
ALL = (A, B, C)


def test_a_host_is_avoided_twice_as_long_each_time_up_to_a_maximum() -> None:
    hosts, now, waits = Hosts(), 0.0, []
    for number in range(1, 9):
        hosts.begin(A, number)
        hosts.blame(A, number, number, now)
        began = now
        while hosts.is_avoided(A, now):
            now += 1.0
        waits.append(now - began)
    assert waits == [60, 120, 240, 480, 960, 960, 960, 960]
    assert (waits[0], waits[-1]) == (BAD_HOST_WAIT, BAD_HOST_LONGEST)
    assert avoided_for(10_000) == BAD_HOST_LONGEST


def test_connections_that_fail_together_count_once() -> None:
    hosts = Hosts()
    for number in (3, 1, 2):  # all were open when the first of them failed
        hosts.blame(A, number, 3, 0.0)
    assert not hosts.is_avoided(A, BAD_HOST_WAIT)
    hosts.blame(A, 4, 4, 100.0)
    assert hosts.is_avoided(A, 100.0 + BAD_HOST_WAIT)


def test_one_connection_at_a_time_tries_a_host_that_failed() -> None:
    hosts = Hosts()
    hosts.blame(A, 1, 1, 0.0)
    assert hosts.ordered(ALL, 30.0) == [B, C, A]
    assert hosts.ordered(ALL, 60.0) == [A, B, C]
    hosts.begin(A, 2)
    assert hosts.ordered(ALL, 9_999.0) == [B, C, A]
    assert hosts.others_left(B, (A, B), 9_999.0) is False
    hosts.end(2)
    assert hosts.ordered(ALL, 60.0) == [A, B, C]


def test_a_probe_has_hosts_left_until_each_has_failed_since_it_was_due() -> None:
    hosts = Hosts()
    for host in ALL:
        hosts.blame(host, 1, 1, 0.0)
    assert not hosts.others_left(A, ALL, 9.0, 10.0), "not due: avoided ones are not left"
    assert hosts.others_left(A, ALL, 10.0, 10.0)
    assert not hosts.others_left(A, (A,), 10.0, 10.0), "no other one"
    hosts.blame(A, 2, 2, 10.0)
    assert hosts.others_left(B, ALL, 11.0, 10.0)
    hosts.blame(B, 3, 3, 11.0)
    assert not hosts.others_left(C, ALL, 12.0, 10.0)
    assert Hosts().others_left(A, ALL, 12.0, 10.0), "never tried"


def test_a_host_is_good_again_by_a_delivery_on_a_connection_opened_since() -> None:
    hosts = Hosts()
    hosts.blame(A, 1, 5, 0.0)
    hosts.note_delivery(A, 5, 10.0)  # it was open when the other failed
    assert hosts.is_avoided(A, 20.0)
    hosts.note_delivery(A, 6, 20.0)
    assert not hosts.is_avoided(A, 20.0)
    hosts.blame(A, 7, 7, 30.0)
    assert not hosts.is_avoided(A, 30.0 + BAD_HOST_WAIT), "the doubling starts over"


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=12), st.floats(1.0, 5_000.0))
def test_the_probes_of_a_hold_go_round(failed: list[Candidate], apart: float) -> None:
    """The one whose failure is the oldest goes first, however long ago that was."""
    hosts = Hosts()
    for number, host in enumerate(failed, 1):
        hosts.blame(host, number, number, number * apart)
    now = (len(failed) + 1) * apart
    first = hosts.ordered(ALL, now, on_hold=True)[0]
    if set(failed) == set(ALL):
        assert first == min(ALL, key=lambda one: -failed[::-1].index(one))
    else:
        assert first not in failed
    tried = []
    for number in range(100, 103):
        tried.append(hosts.ordered(ALL, now, on_hold=True)[0])
        hosts.blame(tried[-1], number, number, now)
        now += apart
    assert set(tried) == set(ALL)


def test_a_copy_that_failed_at_a_host_goes_to_another_one_first() -> None:
    hosts = Hosts()
    hosts.note_failure(A, 7)
    assert hosts.ordered(ALL, 0.0, 7) == [B, C, A]
    assert hosts.ordered(ALL, 0.0, 8) == [A, B, C]
    hosts.blame(B, 1, 1, 0.0)
    assert hosts.ordered(ALL, 1.0, 7) == [C, A, B], "an avoided one is the last resort"
    hosts.note_delivery(A, 2, 1.0)  # it takes others: perhaps it was the copy
    assert hosts.ordered(ALL, 1.0, 7) == [A, C, B]


def test_a_run_counts_other_copies_since_the_hosts_own_last_delivery() -> None:
    hosts = Hosts()
    for mid in (1, 2, 2, 3):
        hosts.note_failure(A, mid)
    assert hosts.here(A, 3, more_hosts=True).run == 2
    assert hosts.here(A, 4, more_hosts=True).run == 3
    hosts.note_delivery(B, 1, 5.0)
    assert hosts.here(A, 4, more_hosts=False) == Here(False, 3)
    hosts.note_delivery(A, 1, 6.0)
    assert hosts.here(A, 4, more_hosts=True) == Here(True, 0, 6.0)


def test_what_is_kept_of_a_host_is_bounded() -> None:
    hosts = Hosts()
    for mid in range(1_000):
        hosts.note_failure(A, mid)
    assert 20 < hosts.here(A, 0, more_hosts=True).run < 100
