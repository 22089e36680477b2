"""Queue orders and answers on the wire: what goes out comes in, and an answer always has room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import commit_key
from tdc.manager.store.record import CommitRecord, Signature, pack_record, read_record
from tdc.manager.store.work_record import plain_work, work_from
from tdc.shared.sync.queue_work import (
    MOST_LISTED,
    CountedCopies,
    DeadCopy,
    DropCopies,
    ListDead,
    MoveCopies,
    OrderedWork,
    QueueAnswer,
    QueueOrder,
    RetryCopies,
    Selection,
)
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.queue_work import (
    MOST_MIDS,
    answer_of,
    answer_to_wire,
    order_of,
    order_to_wire,
)
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE, MAX_TEXT
from tdc.v1 import agents_pb2

counts = st.integers(0, 2**53)
texts = st.text(max_size=20)
times = st.integers(0, 2**38).map(lambda count: count / 64)  # no more than nanoseconds
selections = st.builds(
    Selection,
    texts,
    st.lists(st.integers(1, 2**53), max_size=3).map(tuple),
    waiting=st.booleans(),
    dead=st.booleans(),
)
changes = st.one_of(
    st.builds(RetryCopies, selections),
    st.builds(MoveCopies, selections, texts),
    st.builds(DropCopies, selections),
)
orders = st.builds(
    QueueOrder, texts, texts, st.one_of(st.builds(ListDead, selections), changes), st.booleans()
)
copies = st.builds(
    DeadCopy,
    mid=counts,
    report_id=texts,
    message_id=texts,
    intake=texts,
    sender=texts,
    recipients=st.lists(texts, max_size=3).map(tuple),
    size=counts,
    taken_at=times,
    dead_at=times,
    attempts=counts,
    reason=texts,
)
answers = st.builds(
    QueueAnswer,
    texts,
    counts,
    counts,
    st.lists(copies, max_size=3).map(tuple),
    texts,
    st.lists(texts, max_size=3).map(tuple),
)
counted = st.builds(CountedCopies, texts, counts, counts)
records = st.builds(
    OrderedWork,
    changes,
    st.lists(counted, max_size=3, unique_by=lambda each: each.machine).map(tuple),
)


@given(orders)
def test_an_order_comes_in_as_it_went_out(order: QueueOrder) -> None:
    assert order_of(order_to_wire(order)) == order


@given(answers)
def test_an_answer_comes_in_as_it_went_out(answer: QueueAnswer) -> None:
    assert answer_of(answer_to_wire(answer)) == answer


@given(copies, st.integers(1, 3 * MOST_LISTED), st.integers(0, 5_000), st.integers(0, 300))
def test_an_answer_has_room_in_one_message_whatever_it_lists(
    copy: DeadCopy, listed: int, long: int, recipients: int
) -> None:
    """The newest are kept; the count tells of all."""
    words = "\N{SNOWMAN}" * long
    full = replace(copy, reason=words, recipients=("x" * 60,) * recipients)
    shown = tuple(replace(full, mid=mid) for mid in range(listed))
    answer = QueueAnswer("id", listed, 0, shown, words, (words,) * 5)
    message = agents_pb2.AgentMessage(queue_answer=answer_to_wire(answer))
    assert message.ByteSize() <= MAX_AGENT_MESSAGE
    kept = answer_of(message.queue_answer)
    assert kept.copies == listed
    assert [each.mid for each in kept.dead] == list(range(len(kept.dead)))
    assert len(kept.refused) <= MAX_TEXT


@pytest.mark.parametrize(
    "message",
    [
        agents_pb2.QueueAnswer(copies=-1),
        agents_pb2.QueueAnswer(bytes=-1),
        agents_pb2.QueueAnswer(dead=[agents_pb2.DeadCopy()] * (MOST_LISTED + 1)),
        agents_pb2.QueueAnswer(dead=[agents_pb2.DeadCopy(dead_at={"seconds": 2**60})]),
    ],
)
def test_an_answer_that_does_not_hold_is_refused(message: agents_pb2.QueueAnswer) -> None:
    with pytest.raises(BadMessage):
        answer_of(message)


def test_an_order_of_another_version_or_with_too_many_copies_is_refused() -> None:
    with pytest.raises(BadMessage, match="upgrade the agent"):
        order_of(agents_pb2.QueueOrder(id="x"))
    many = agents_pb2.CopySelection(mids=range(MOST_MIDS + 1))
    with pytest.raises(BadMessage, match="at most"):
        order_of(agents_pb2.QueueOrder(drop=agents_pb2.DropCopies(selection=many)))


@given(records)
def test_a_record_of_work_comes_out_as_it_went_in(work: OrderedWork) -> None:
    record = CommitRecord(7, Signature("ana", "why", "r"), 1_795_000_000.25, (), (), 0, work)
    key = commit_key("c1", record.revision)
    assert read_record(key, pack_record("c1", record)) == record


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "burn"),
        ("mids", ["one"]),
        ("mids", [True]),
        ("machines", {"mx1": 12}),
        ("machines", {"mx1": {"copies": -1, "bytes": 0}}),
        ("from", None),
    ],
)
def test_a_damaged_record_of_work_is_no_other_work(field: str, value: object) -> None:
    whole = plain_work(OrderedWork(DropCopies(Selection("a@b", dead=True)), ()))
    with pytest.raises(Damaged):
        work_from({**whole, field: value})
