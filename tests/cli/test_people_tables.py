"""What tables say of people."""

from __future__ import annotations

from tdc.manager.cli.layout import Grid
from tdc.manager.cli.people_tables import certificate_pieces
from tdc.shared.wire import audit_answers, people_answers
from tdc.shared.wire.people_documents import OperatorCertificateDocument
from tdc.v1 import audit_pb2, people_pb2


def test_a_certificate_that_was_shut_with_its_user_names_nobody() -> None:
    shut = OperatorCertificateDocument(
        "f" * 64, "eva", None, None, None, "2026-11-28T11:32:09Z", "", "its user was deleted"
    )
    (grid,) = (each for each in certificate_pieces([shut]) if isinstance(each, Grid))
    last = grid.rows[0][-1]
    assert str(getattr(last, "text", last)).endswith("Z: its user was deleted")


def test_a_role_is_written_as_options_take_it_in_the_audit_log_too() -> None:
    assert audit_answers.entry(audit_pb2.AuditEntry(role="read only")).role == "read-only"
    assert people_answers.user(people_pb2.User(role="help desk")).role == "help-desk"
