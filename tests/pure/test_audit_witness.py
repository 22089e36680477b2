"""What an agent keeps of the audit log's head, whatever managers tell it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.sync.audit import MOST_EARLIER, NO_ENTRY, NOTHING_SEEN, AuditHead, Witness
from tdc.shared.wire.audit import witness_of, witness_to_wire

from tests.examples import examples

A, B = "a" * 64, "b" * 64


def saw(*heads: AuditHead, store: str = "s") -> Witness:
    witness = NOTHING_SEEN
    for at, head in enumerate(heads, 1):
        witness = witness.after(store, head, float(at))
    return witness


def test_the_newest_is_kept() -> None:
    assert saw(AuditHead(3, A), AuditHead(7, B)) == Witness("s", AuditHead(7, B), 2.0)
    assert saw(AuditHead(3, A), AuditHead(3, A)) == Witness("s", AuditHead(3, A), 1.0)


def test_what_a_later_word_does_not_follow_from_is_kept_too() -> None:
    """So a log that was cut, and has grown past it again, stays contradicted."""
    cut = saw(AuditHead(7, A), AuditHead(5, B), AuditHead(8, B))
    assert cut.heads == (AuditHead(7, A), AuditHead(8, B))
    rewritten = saw(AuditHead(7, A), AuditHead(7, B), AuditHead(8, B))
    assert rewritten.heads == (AuditHead(7, A), AuditHead(8, B))


def test_a_manager_without_a_log_and_another_store() -> None:
    assert saw(AuditHead(7, A), NO_ENTRY).newest == AuditHead(7, A)
    assert saw(AuditHead(7, A)).after("", AuditHead(8, A), 9.0).newest == AuditHead(7, A)
    assert saw(AuditHead(7, A)).after("other", AuditHead(2, B), 9.0) == Witness(
        "other", AuditHead(2, B), 9.0
    )


HEADS = st.builds(AuditHead, st.integers(1, 30), st.sampled_from([A, B]))


@examples(100)
@given(st.lists(HEADS, max_size=40))
def test_it_is_bounded_never_goes_back_and_survives_the_wire(heads: list[AuditHead]) -> None:
    witness = NOTHING_SEEN
    for at, head in enumerate(heads):
        before, witness = witness, witness.after("s", head, float(at))
        assert witness.newest.number >= before.newest.number
    assert len(witness.heads) <= MOST_EARLIER + 1
    message = witness_to_wire(witness)
    assert (message is None) is (not heads)
    if message is not None:
        assert witness_of(message) == witness
